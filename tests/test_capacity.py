"""The default of --workers: the cores, or what the free memory allows."""

import pytest

from harness import capacity, options
from harness.arguments import RunOptions

GB = 2**30


def test_memory_bounds_the_workers_and_one_there_is_always():
    assert capacity.fitting(8, 8 * 700, 700) == (8, "")
    assert capacity.fitting(8, None, 700) == (8, "")
    assert capacity.fitting(8, 8 * 700 - 1, 700)[0] == 7
    assert capacity.fitting(2, 100, 700) == (
        1,
        "1 run at a time for 2 cores: 0.1 GB of memory are free and a run needs about 0.7 GB; "
        "--workers sets another number",
    )
    assert capacity.fitting(1, 100, 700) == (1, "")


def test_what_a_run_needs_is_measured_by_preset_and_kind():
    assert capacity.need("smoke", True) < capacity.need("small", True) < capacity.need("paper", True)
    assert capacity.need("of a plug-in", True) == capacity.need("small", True)
    assert capacity.need("paper", False) < capacity.need("smoke", True)


@pytest.mark.parametrize(
    ("group", "files", "megabytes"),
    [
        (None, {}, 4096),
        ("0::/", {"memory.max": "max\n", "memory.current": f"{GB}\n"}, 4096),
        ("0::/", {"memory.max": f"{2 * GB}\n", "memory.current": f"{GB}\n"}, 1024),
        (
            "0::/",
            {"memory.max": f"{2 * GB}", "memory.current": f"{GB}", "memory.stat": f"inactive_file {GB // 2}"},
            1536,
        ),
        ("0::/", {"memory.max": f"{GB}", "memory.current": f"{2 * GB}"}, 0),
        ("0::/job/step", {"job/memory.max": f"{3 * GB}", "job/memory.current": f"{GB}"}, 2048),
        ("4:memory:/job", {"memory.max": f"{GB}", "memory.current": "0"}, 4096),
    ],
)  # fmt: skip
def test_free_memory_is_the_least_of_machine_and_groups(tmp_path, group, files, megabytes):
    texts = {"proc/meminfo": f"MemTotal: {9 * 2**20} kB\nMemAvailable:    {4 * 2**20} kB\n"}
    if group is not None:
        texts["proc/self/cgroup"] = f"{group}\n"
    for name, text in (texts | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert capacity.free(tmp_path) == megabytes


def test_free_memory_of_a_system_that_does_not_say(tmp_path):
    assert capacity.free(tmp_path) is None


def test_a_command_says_so_where_memory_allows_fewer_workers(monkeypatch, capsys):
    monkeypatch.setattr(options, "cores", lambda: 8)
    monkeypatch.setattr(capacity, "free", lambda: 2000)
    plain = RunOptions(searchers="gicso", seeds="5")
    assert options.execution_of(plain, "cpu", images=True).workers == 2
    assert capsys.readouterr().err.startswith("2 runs at a time for 8 cores: 2.0 GB of memory are free")
    assert options.execution_of(plain, "cpu", images=False).workers == 6
    capsys.readouterr()
    assert options.execution_of(plain, "cuda", images=True).workers == 1
    assert options.execution_of(RunOptions(searchers="gicso", seeds="5", workers=5), "cpu", images=True).workers == 5
    assert capsys.readouterr().err == ""
