"""What is checked on this machine, and what is found missing."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.digits201 import build
from benchmarks.digits201.benchmark import load_counts
from benchmarks.nb201 import cell as cells

HERE = Path(__file__).parent


@pytest.fixture
def stored(monkeypatch):
    """Instead of training three cells of digits201 again: what the table holds of them."""
    counts = load_counts()

    def count_right(cell):
        return counts.right[counts.class_of[cells.index(cell)]].astype(np.int64)

    monkeypatch.setattr(build, "count_right", count_right)


def test_all_that_is_there_is_checked_against_what_is_published(harness, table, cifar10_root):
    code, out, _ = harness("doctor", "--table", table, "--data", cifar10_root)
    assert code == 0
    assert {line[:5] for line in out.splitlines()} == {"ok   "}
    for said in (
        f"nb201 table {table}: 15,625 cells, CSV of published values, rounded to 6 decimals, sha256 dbd3c1b0aa9e\n",
        "CIFAR-10: md5 sums as published, official halves; small uses 6400 + 6400\n",
        "network of cell 0: 129,306 parameters, 15,647,370 FLOPs; the table says the same\n",
        "network of cell 11: 802,426 parameters, 113,951,370 FLOPs; the table says the same\n",
        "network of cell 284: 101,306 parameters, 11,715,210 FLOPs; the table says the same\n",
    ):
        assert f"ok   {said}" in out
    again = re.findall(r"^ok   digits201 cell (\d+) trained again: .* stored ([\d.]+) % \(±6.35\)$", out, re.MULTILINE)
    assert again == [("0", "67.73"), ("11", "29.05"), ("284", "45.86")]
    assert re.search(r"^ok   processor: .+, .*(bf16 instructions|unknown flags)", out, re.MULTILINE)


def test_a_folder_that_is_named_and_has_no_images_is_bad(harness, table, stored):
    code, out, _ = harness("doctor", "--table", table, "--data", HERE)
    assert code == 1
    (line,) = (line for line in out.splitlines() if not line.startswith("ok   "))
    assert line.startswith("BAD  cifar10: data_batch_1, ")
    assert str(HERE) in line


def test_for_queries_no_images_are_needed(harness, table, stored, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(HERE))
    code, out, _ = harness("doctor", "--table", table)
    assert (code, "\nok   cifar10: data_batch_1, " in out) == (0, True)


def test_a_cell_that_is_not_trained_as_stored_is_bad(harness, table, stored, monkeypatch):
    """Nobody right: 67.73 and 45.86 % are more than four standard deviations of 6.35 points above, 29.05 % too."""
    monkeypatch.setenv("HARNESS_DATA", str(HERE))
    monkeypatch.setattr(build, "count_right", lambda cell: np.zeros((3, 3)))
    code, out, _ = harness("doctor", "--table", table)
    assert code == 1
    assert [line for line in out.splitlines() if not line.startswith("ok   ")] == [
        "BAD  digits201 cell 0 trained again: 0.00 %, stored 67.73 % (±6.35)",
        "BAD  digits201 cell 11 trained again: 0.00 %, stored 29.05 % (±6.35)",
        "BAD  digits201 cell 284 trained again: 0.00 %, stored 45.86 % (±6.35)",
    ]
