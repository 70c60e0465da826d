"""Runs made by processes of this machine."""

import multiprocessing

from support.planned import plans_for

from benchmarks.digits201 import benchmark
from harness import locks, runner, store
from harness.executors import local


def test_an_exit_costs_its_run_and_not_the_worker(site, tmp_path, monkeypatch):
    """The other seeds are made by the same two processes."""
    site.mine("""
        class Mine(RandomSearch):
            name = "mine"
            def step(self):
                if self.task.seed == 1:
                    raise SystemExit(3)
                return super().step()
    """)
    planned = plans_for(benchmark.open_digits201(), "digits201", "mine", [1, 0, 2])
    jobs = [(plan, store.run_folder(tmp_path / "c", "mine", plan.seed)) for plan in planned]
    ended, started = {}, []

    def report(number, event):
        if "record" in event:
            ended[planned[number].seed] = event["record"].error

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(context, "Process", lambda **how: started.append(1) or type(context).Process(**how))
    local.processes(jobs, 2, report)
    assert ended == {0: None, 1: "step() raised SystemExit(3): a searcher must not end the process", 2: None}
    assert len(started) == 2


def test_an_array_s_task_leaves_alone_what_others_make_or_have_made(tmp_path):
    planned = plans_for(benchmark.open_digits201(), "digits201", "random", range(3))
    jobs = [(plan, store.run_folder(tmp_path, plan.label, plan.seed)) for plan in planned]
    assert runner.run(*jobs[1]).finished
    events = []
    with locks.claim(jobs[0][1]) as mine:
        assert mine
        local.here(jobs, lambda number, event: events.append((number, *event)), patient=False)
    assert events == [(0, "elsewhere"), (1, "elsewhere"), (2, "started"), (2, "record")]
