"""The benchmark on NAS-Bench-201: its table opened once, its images found, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.nb201 import benchmark
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.benchmark import open_nb201
from benchmarks.nb201.table import Table
from benchmarks.nb201.table_file import load_table, save_table


def without(table: Table, place: Path, **left_out) -> Path:
    changed = Table(**{f: getattr(table, f) for f in table.__dataclass_fields__} | left_out)
    save_table(changed, place)
    return place


@pytest.mark.case(13, 19)
def test_a_table_without_times_or_proxy_is_refused_at_once(harness, table, tmp_path):
    whole = load_table(table)
    no_times = without(whole, tmp_path / "times.npz", train_seconds={})
    columns = {key: column for key, column in whole.columns.items() if key != ("cifar10-valid", "x-valid", 12)}
    no_proxy = without(whole, tmp_path / "proxy.npz", columns=columns)
    for path in (no_times, no_proxy):
        command = ["run", "--searchers", "random", "--seeds", 1, "--data", tmp_path, "--out", tmp_path / "out"]
        code, _, err = harness(*command, "--table", path)
        assert code == 2, err
        assert len(err.splitlines()) <= 2
        assert not (tmp_path / "out").exists()


def test_asking_the_table_leaves_the_global_generators_alone(table):
    np.random.seed(3)  # noqa: NPY002 - the global state is the subject
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    bench = open_nb201(table, ())
    bench.score(cells.from_index(5), "cifar10", "test")
    bench.optimum("cifar100", "test")
    bench.proxy("cifar10")
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_the_table_is_opened_once_however_its_path_is_spelled(table, tmp_path, monkeypatch):
    monkeypatch.chdir(table.parent)
    assert open_nb201(table.name, [tmp_path]) is open_nb201(table, (str(tmp_path),))


def test_a_damaged_file_is_no_reason_to_look_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cifar10_root: Path
) -> None:
    damaged = tmp_path / "cifar-10-batches-py"
    damaged.mkdir()
    for k in range(1, 6):
        (damaged / f"data_batch_{k}").write_bytes(b"not the published bytes")
    places = (tmp_path, cifar10_root)
    with pytest.raises(UserError, match=r"data_batch_1 is damaged or another file"):
        benchmark._search_data(places, "cifar10", 16, 320)
    empty = tmp_path / "empty"
    empty.mkdir()
    train, _ = benchmark._search_data((empty, cifar10_root), "cifar10", 16, 320)
    assert len(train) == 320


def test_the_summary_has_the_scatter_of_single_trainings_and_quantiles_as_fine_as_the_scores():
    bench = open_nb201(None, ())
    column = bench.column("cifar10", "test")
    summary = bench.summary("cifar10", "test")
    several = (~np.isnan(column.per_trial)).sum(1) > 1
    best = np.flatnonzero(several)[np.argsort(column.mean[several], kind="stable")][-several.sum() // 10 :]
    expected = np.sqrt(np.nanmean([np.nanvar(row, ddof=1) for row in column.per_trial[best]]))
    assert len(summary.trial_std) == 10
    assert summary.trial_std[-1] == pytest.approx(expected, rel=1e-3)
    assert bench.summary("ImageNet16-120", "test").trial_std == []  # its single trainings are not published
    worst = bench.column("ImageNet16-120", "test").mean.min()
    assert bench.summary("ImageNet16-120", "test").quantiles[0] == round(worst, 6)


def test_a_proxy_of_several_trainings_says_so():
    bench = open_nb201(None, ())
    said = "; its accuracy is the mean of 2 trainings and is charged as one"
    assert bench.low_fidelity_cost("cifar10").endswith(said)
    assert "mean of" not in bench.low_fidelity_cost("cifar100")
