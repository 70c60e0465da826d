"""The official halves that come with the package: those of the split files, disjoint and complete."""

import json
import re

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.nb201 import splits

SIX = ("train", "valid"), 6


def split_file(first, second):
    return json.dumps(
        {part: ["int", [str(i) for i in half]] for part, half in zip(SIX[0], (first, second), strict=True)}
    )


@pytest.mark.case(58)
@pytest.mark.parametrize(
    ("dataset", "start"),
    [("cifar10", ([0, 5, 7], [1, 2])), ("cifar100", ([1, 3], [0])), ("ImageNet16-120", ([1, 2], [0]))],
)
def test_official_splits_are_disjoint_halves(dataset, start):
    halves, total = splits.official_split(dataset), splits.FILES[dataset].total
    assert total == {"cifar10": 50_000, "cifar100": 10_000, "ImageNet16-120": 6_000}[dataset]
    assert [len(half) for half in halves] == [total // 2, total // 2]
    assert {*halves[0].tolist(), *halves[1].tolist()} == set(range(total))
    for half, first in zip(halves, start, strict=True):
        assert half[: len(first)].tolist() == first
        assert half.dtype == np.int64


def test_the_halves_are_those_of_the_official_files_in_their_order(shared, tmp_path):
    splits.write(shared / "data/splits", tmp_path / "splits.npz")
    with np.load(tmp_path / "splits.npz") as made, np.load(splits.FILE) as embedded:
        assert made.files == embedded.files
        assert all(np.array_equal(made[name], embedded[name]) for name in made.files)
    for dataset, (name, parts, _) in splits.FILES.items():
        stored = json.loads((shared / "data/splits" / name).read_text())
        for half, part in zip(splits.official_split(dataset), parts, strict=True):
            assert half.tolist() == [int(i) for i in stored[part][1]]


@pytest.mark.parametrize(
    ("first", "second"),
    [([0, 1, 2], [2, 3, 4]), ([0, 1, 2], [3, 4, 6]), ([0, 1, 2, 3], [4, 5]), ([0, 1], [2, 3]), ([], [])],
    ids=["overlap", "range", "unequal", "short", "empty"],
)
def test_a_split_that_is_none_is_refused(first, second, tmp_path):
    path = tmp_path / "s.txt"
    path.write_text(split_file(first, second))
    with pytest.raises(UserError, match="disjoint halves of the indices 0 to 5"):
        splits.read_split(path, *SIX)
    path.write_text(split_file([5, 0, 1], [2, 4, 3]))
    assert splits.read_split(path, *SIX)[0].tolist() == [5, 0, 1]


@pytest.mark.parametrize("text", ["", "[]", '{"train": ["int", ["0"]]}', '{"train": 1, "valid": 2}'])
def test_a_file_that_is_no_split_is_refused(text, tmp_path):
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path))}/s.txt is not a split file with train and valid"):
        splits.read_split(tmp_path / "s.txt", *SIX)
