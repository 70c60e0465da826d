"""What every searcher is given: settings, streams of random numbers, and a proxy with a clock."""

import pytest
from support.searching import make_task

from benchmarks.base import NetworkSize
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space
from searchers import base, catalogue
from searchers.base import Budget, SearchTask
from searchers.gicso import GICSO


def test_unknown_names_and_settings_are_named():
    with pytest.raises(UserError, match="unknown searcher 'dart'; did you mean 'darts'"):
        catalogue.find("dart")
    with pytest.raises(UserError, match="'darts' has no setting 'alpha_rate'.*alpha_lr"):
        base.configure(catalogue.find("darts"), {"alpha_rate": 1})
    with pytest.raises(UserError, match=r"gicso\[population=7\].*multiple of 3"):
        base.configure(GICSO, {"population": 7})


def test_streams_depend_on_seed_and_purpose_only():
    a, b, c = make_task(0), make_task(0), make_task(1)
    b.stream("other").random()  # another purpose takes nothing away
    first = a.stream("x").random()
    assert first == b.stream("x").random()
    assert first != c.stream("x").random()
    assert first != a.stream("y").random()


def proxy_task(seconds, budget):
    task = make_task(kind="multi-trial", seconds=budget)
    task.low_fidelity = lambda cell: (50.0, seconds)
    return task


def test_a_query_that_would_overrun_is_not_made_and_repeats_pay_again():
    task = proxy_task(10.0, 35.0)
    cell = C.from_index(5)
    assert [task.proxy(cell) is None for _ in range(5)] == [False, False, False, True, True]
    assert task.simulated_seconds == 30.0
    assert task.evaluations == 3
    assert task.proxy(cell) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-13])  # 10,000 and the last is 10,000
def test_a_search_whose_queries_cost_nothing_ends(seconds):
    task = proxy_task(seconds, 12_000)
    task.simulated_seconds = 10_000.0
    with pytest.raises(UserError, match="the budget never ends"):
        task.proxy(C.from_index(5))


@pytest.mark.case(12)
def test_ten_queries_of_cell_284():
    task = proxy_task(58.51, 12_000)
    for _ in range(10):
        task.proxy(C.from_index(284))
    assert task.simulated_seconds == pytest.approx(585.1)


def test_a_step_that_asks_the_proxy_for_ever_is_ended(monkeypatch):
    monkeypatch.setattr(base, "REFUSALS", 50)
    task = SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(0, 10.0))
    task.low_fidelity = lambda cell: (50.0, 4.0)
    assert [task.proxy((0,) * 6) for _ in range(51)] == [(50.0, 4.0), (50.0, 4.0), *[None] * 49]
    with pytest.raises(UserError, match="step.. must give None when the budget, 10 simulated seconds, is spent"):
        task.proxy((0,) * 6)
