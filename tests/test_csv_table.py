"""The CSV of published values: single trials, the proxy, and wrong files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from support.published import CSV, PROXY, needs_csv

from benchmarks.base import Score
from benchmarks.errors import UserError
from benchmarks.nb201.table import Table
from benchmarks.nb201.table_file import load_table


@needs_csv
def test_single_trials_of_the_csv(published: Table) -> None:
    column = published.column("cifar10", "ori-test", 200)
    for index, values in {
        0: (85.62, 86.18, 85.79),
        11: (91.79, 91.76, 91.2),
        284: (88.73, 88.55, 89.09),
    }.items():
        for seed, value in zip((777, 888, 999), values, strict=True):
            assert column.singles(index)[seed] == value
    short = int(np.flatnonzero(published.column("cifar100", "ori-test", 200).trials == 2)[0])
    assert list(published.column("cifar100", "ori-test", 200).singles(short)) == [777, 888]
    assert published.column("cifar100", "x-test", 200).singles(0) == {}  # means alone
    assert published.column("cifar100", "x-test", 12).singles(0) == {111: 31.26}


@needs_csv
def test_inferred_seed_labels_are_not_presented_as_known(published: Table) -> None:
    column = published.column("cifar10", "ori-test", 200)
    assert column.per_trial is not None
    unsure = np.flatnonzero(np.isnan(column.per_trial).all(axis=1))
    assert len(unsure) == 2433
    assert column[unsure[0]].trials in (2, 3)
    assert column.singles(unsure[0]) == {}


@needs_csv
def test_proxy_of_the_csv(published: Table) -> None:
    column, seconds = published.proxy(*PROXY)
    assert (column.record, column.split, column.epochs) == ("cifar10-valid", "x-valid", 12)
    assert column[0] == Score(63.364, 2, "cifar10-valid", "x-valid", 12)
    assert 10 * seconds[284] == pytest.approx(585.1, abs=0.05)
    assert published.proxy_cost(*PROXY) == "12 x epoch time, evaluation time is not recorded"


def _rewrite_csv(place: Path, change) -> Path:
    lines = gzip.decompress(CSV.read_bytes()).decode().splitlines()
    change(lines)
    place.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=1))
    return place


def _swap(lines: list[str]) -> None:
    rows = [lines[1].split(","), lines[12].split(",")]
    rows[0][1], rows[1][1] = rows[1][1], rows[0][1]
    lines[1], lines[12] = map(",".join, rows)


def _word(lines: list[str]) -> None:
    row = lines[5].split(",")
    row[lines[0].split(",").index("c10_test_acc")] = "ninety"
    lines[5] = ",".join(row)


def _column(name: str, change):
    """A change of a column's texts in all rows."""

    def changed(lines: list[str]) -> None:
        place = lines[0].split(",").index(name)
        for k, line in enumerate(lines[1:], start=1):
            row = line.split(",")
            row[place] = change(row[place])
            lines[k] = ",".join(row)

    return changed


@pytest.mark.case(23)
@needs_csv
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_column("in16_test_acc", lambda t: str(float(t) / 100)), "ImageNet16-120/x-test at 200 .* is 0.473111 %"),
        (_column("c10_test_acc", lambda t: str(float(t) + 0.006)), "cifar10/ori-test at 200 .*#0: the mean is given"),
        (_column("c10valid_epoch_time_s", lambda t: "0"), "train_seconds of cifar10-valid, cell #0: 0 seconds"),
        (_column("n_seeds", lambda t: "2.5"), "column n_seeds, row 0: 2.5; expected a count, 0 to 3"),
        (_column("n_seeds", lambda t: "777"), "column n_seeds, row 0: 777; expected a count, 0 to 3"),
        (_column("n_seeds", lambda t: "1"), "cell #0: 3 single trials, but the mean is of 1"),
        (_column("n_seeds", lambda t: ""), "cell #0: an accuracy, the mean of 0 trials"),
        (_swap, r"row 0 is .*official order.*avg_pool_3x3~0"),
        (lambda lines: lines.pop(), "15,624 rows of cells, expected 15,625"),
        (lambda lines: lines.__setitem__(7, lines[7] + ",1"), "row 6 has 50 values, expected 49"),
        (lambda lines: lines.__setitem__(0, lines[0].replace("n_seeds", "n")), "no column n_seeds"),
        (_word, "column c10_test_acc: .*'ninety'"),
    ],
)
def test_wrong_csv(tmp_path: Path, change, message: str) -> None:
    place = _rewrite_csv(tmp_path / "t.csv.gz", change)
    with pytest.raises(UserError, match=message) as caught:
        load_table(place)
    assert "t.csv.gz" in str(caught.value)


@needs_csv
@pytest.mark.parametrize("length", [300, 200_000])
def test_truncated_csv_gz(tmp_path: Path, length: int) -> None:
    place = tmp_path / "nb201.csv.gz"
    place.write_bytes(CSV.read_bytes()[:length])
    with pytest.raises(UserError, match="truncated or damaged"):
        load_table(place)
