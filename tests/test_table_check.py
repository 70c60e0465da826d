"""Values that cannot be are refused, with a guess at what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.archives import NB201_SPACE, N, small_table
from support.published import needs_csv

from benchmarks.errors import UserError
from benchmarks.nb201.cost import parameters
from benchmarks.nb201.table import Column, Table
from benchmarks.nb201.table_file import load_table, save_table

ACCURACY = ("cifar10-valid", "x-valid", 12)


def altered(
    known: np.ndarray | slice = slice(None), mean=None, trials=None, per_trial=None, **costs: np.ndarray
) -> Table:
    """The small table with other values in its column, in the cells `known` only, or with other costs."""
    table = small_table()
    column = table.column(*ACCURACY)
    assert column.per_trial is not None
    held = np.zeros(N, dtype=bool)
    held[known] = True
    held[3] = False
    mean = column.mean if mean is None else mean(column.mean)
    per_trial = column.per_trial if per_trial is None else per_trial(column.per_trial)
    count = column.trials if trials is None else trials(column.trials)
    changed = Column(
        ACCURACY, np.where(held, mean, np.nan), np.where(held, count, 0), column.seeds,
        np.where(held[:, None], per_trial, np.nan),
    )  # fmt: skip
    names = ("params", "flops", "train_seconds")
    kept = {name: costs.get(name, getattr(table, name).get("cifar10-valid")) for name in names}
    kept = {name: {} if values is None else {"cifar10-valid": values} for name, values in kept.items()}
    return Table(columns={ACCURACY: changed}, source="altered", **kept)


def one(value: float, cell: int = 9, of: float = 2.0) -> np.ndarray:
    values = np.full(N, of)
    values[cell] = value
    return values


def at_9(change):
    """A change of cell 9 alone."""

    def changed(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[9] = change(values[9])
        return values

    return changed


def both(change) -> dict:
    return {"mean": change, "per_trial": change}


ORDINARY = "cifar10-valid/x-valid at 12 epochs"
WRONG = [
    (both(lambda x: x / 100), rf"{ORDINARY}: the largest of 15,624 accuracies is 0.8\d+ %: .* fractions. multiply by"),
    (both(lambda x: x * 100), rf"{ORDINARY}, cell #0: 1500 is no percentage .0 to 100.: percent times 100"),
    (both(lambda x: np.round(x * 250)), "cell #0: 3750 is no percentage .*counts of right answers. divide by"),
    (both(at_9(lambda x: -1)), "cell #9: -1 is no percentage .*a mark of a missing value. leave that empty"),
    (both(at_9(lambda x: np.inf)), "cell #9: inf is no percentage"),
    ({"per_trial": at_9(lambda x: x * 10)}, f"{ORDINARY}, single trial, cell #9: .* is its decimal point lost"),
    ({"mean": at_9(lambda x: x + 0.01)}, f"{ORDINARY}, cell #9: the mean is given as .*, but its trials give"),
    ({"per_trial": at_9(lambda x: x + 1e-3)}, "cell #9: the mean is given as .*, but its trials give"),
    ({"trials": at_9(lambda x: 2)}, "cell #9: 3 single trials, but the mean is of 2"),
    ({"trials": at_9(lambda x: 4)}, "cell #9: a mean of 4 trials, but there are 3 seeds"),
    ({"trials": at_9(lambda x: 0)}, "cell #9: an accuracy, the mean of 0 trials"),
    ({"mean": at_9(lambda x: np.nan)}, "cell #9: no accuracy, the mean of 3 trials"),
    ({"train_seconds": np.zeros(N)}, "train_seconds of cifar10-valid, cell #0: 0 seconds an epoch; .*not measured"),
    ({"train_seconds": one(-1)}, "train_seconds of cifar10-valid, cell #9: -1 seconds"),
    ({"train_seconds": one(np.inf)}, "cell #9: inf seconds"),
    ({"train_seconds": np.full(N, 7221.093)}, "the smallest is 7221.09 seconds an epoch: milliseconds. divide by 1000"),
    ({"train_seconds": np.full(N, 0.002)}, "the largest is 0.002 seconds an epoch: hours. multiply by 3600"),
    ({"train_seconds": np.full(3, 2.0)}, r"train_seconds of cifar10-valid: \(3,\) values, expected"),
    ({"params": parameters(NB201_SPACE) * 1.0}, "params of cifar10-valid: the smallest is 73306 .* counted in ones"),
    ({"flops": np.full(N, 7.78e6)}, "flops of cifar10-valid: the smallest is 7.78e.06 million FLOPs: counted in ones"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG)
def test_values_that_cannot_be_are_refused_by_the_reader_with_a_guess(tmp_path: Path, changed, message: str) -> None:
    save_table(altered(**changed), tmp_path / "t.npz")
    with pytest.raises(UserError, match=message) as caught:
        load_table(tmp_path / "t.npz")
    assert str(caught.value).startswith(f"{tmp_path / 't.npz'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decimals", [0, 2, 6])
def test_means_and_trials_may_be_rounded(tmp_path: Path, decimals: int) -> None:
    save_table(altered(**both(lambda x: np.round(x, decimals))), tmp_path / "t.npz")
    assert load_table(tmp_path / "t.npz").warnings
    step = 10.0**-decimals
    save_table(altered(mean=at_9(lambda x: x + 1.5 * step), per_trial=lambda x: np.round(x, decimals)),
               tmp_path / "u.npz")  # fmt: skip
    with pytest.raises(UserError, match="its trials give"):
        load_table(tmp_path / "u.npz")


@pytest.mark.parametrize(("cells", "refused"), [(1, False), (2, False), (3, True)])
def test_one_or_two_small_accuracies_are_a_warning(tmp_path: Path, cells: int, refused: bool) -> None:
    """342 real cells have 0.83 % on ImageNet16-120."""
    save_table(altered(np.arange(10, 10 + cells), **both(lambda x: x / 100)), tmp_path / "t.npz")
    if refused:
        with pytest.raises(UserError, match="the largest of 3 accuracies .* fractions"):
            load_table(tmp_path / "t.npz")
    else:
        assert f"the largest of {cells} accuracies" in load_table(tmp_path / "t.npz").warnings[-1]


@needs_csv
def test_chance_accuracies_of_the_real_table_pass(published: Table) -> None:
    for record, chance, cells in (("ImageNet16-120", 0.833333, 342), ("cifar100", 1.0, 341)):
        assert np.count_nonzero(published.column(record, "x-test", 200).mean == chance) == cells
