"""The table: values against independent readings, look-ups, missing trials, files and their errors."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.archives import NB201_SPACE, N, small_table

from benchmarks.base import Score
from benchmarks.errors import UserError
from benchmarks.nb201 import cell
from benchmarks.nb201.cost import parameters
from benchmarks.nb201.table import Column, Table
from benchmarks.nb201.table_file import load_table, save_table

NOISE = np.random.default_rng(0).bytes(5000)  # what cannot be compressed
ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared"))
CSV = SHARED / "data" / "nb201" / "nb201.csv.gz"
SAMPLE = SHARED / "data" / "nats-bench-sample" / "NATS-tss-v1_0-3ffb9-simple"
needs_csv = pytest.mark.skipif(not CSV.is_file(), reason=f"no CSV of published values at {CSV}")
PROXY = ("cifar10-valid", "x-valid", 12)


@pytest.fixture(scope="module")
def published() -> Table:
    if not CSV.is_file():
        pytest.skip(f"no CSV of published values at {CSV}")
    return load_table(CSV)


@pytest.fixture(scope="module")
def made() -> Column:
    return small_table().column("cifar10-valid", "x-valid", 12)


# ---- published values


@needs_csv
@pytest.mark.parametrize(
    ("record", "split", "index", "value"),
    [
        ("cifar10", "ori-test", 6111, 94.3733),
        ("cifar100", "x-test", 9930, 73.5133),
        ("ImageNet16-120", "x-test", 857, 47.3111),
        ("cifar10-valid", "x-valid", 6111, 91.6067),
        ("cifar100", "x-valid", 9930, 73.4933),
        ("ImageNet16-120", "x-valid", 10676, 46.7333),
    ],
)
def test_known_optima(published: Table, record: str, split: str, index: int, value: float) -> None:
    found, score = published.column(record, split, 200).best()
    assert found == index
    assert score.value == pytest.approx(value, abs=5e-5)
    assert (score.record, score.split, score.epochs) == (record, split, 200)


GOLDEN = {  # from the official archive, read with the official API; None: not in the CSV
    0: (63.3640, 81.9827, 85.8633, 52.7000, 52.9133, 28.2111, 26.6333, 15.64737, 0.129306, 86.653),
    11: (63.2780, 87.9400, 91.5833, 67.4533, 67.6067, 30.4111, 30.1667, 113.95137, 0.802426, 149.545),
    284: (72.8760, 86.0467, 88.7900, 61.6800, 62.1400, 33.4000, 32.4667, 11.71521, 0.101306, 58.510),
}


@needs_csv
@pytest.mark.parametrize("index", GOLDEN)
def test_golden_rows(published: Table, index: int) -> None:
    names = [
        ("cifar10-valid", "x-valid", 12),
        ("cifar10-valid", "x-valid", 200),
        ("cifar10", "ori-test", 200),
        ("cifar100", "x-valid", 200),
        ("cifar100", "x-test", 200),
        ("ImageNet16-120", "x-valid", 200),
        ("ImageNet16-120", "x-test", 200),
    ]
    row = [published.column(*name)[index].value for name in names]
    row += [published.flops["cifar10"][index], published.params["cifar10"][index]]
    row.append(published.proxy(*PROXY)[1][index])
    assert row == pytest.approx(GOLDEN[index], abs=5.1e-4)
    assert row[:9] == pytest.approx(GOLDEN[index][:9], abs=5.1e-5)


@needs_csv
def test_every_mean_equals_an_independent_reading(published: Table) -> None:
    import pandas as pd

    frame = pd.read_csv(CSV)
    names = {
        ("cifar10-valid", "x-valid"): "c10valid_val",
        ("cifar10", "ori-test"): "c10_test",
        ("cifar100", "x-valid"): "c100_val",
        ("cifar100", "x-test"): "c100_test",
        ("ImageNet16-120", "x-valid"): "in16_val",
        ("ImageNet16-120", "x-test"): "in16_test",
    }
    for (record, split), name in names.items():
        for epochs, suffix in ((200, "_acc"), (12, "_acc_12ep")):
            np.testing.assert_array_equal(published.column(record, split, epochs).mean, frame[name + suffix])
        np.testing.assert_array_equal(published.column(record, split, 200).trials, frame["n_seeds"])
    for record, name in (("cifar100", "c100"), ("ImageNet16-120", "in16")):
        union = published.column(record, "ori-test", 200)
        halves = (frame[f"{name}_val_acc"] + frame[f"{name}_test_acc"]) / 2
        np.testing.assert_allclose(union.mean, halves, atol=2e-6)
        expected = frame[[f"{name}_valtest_acc_s{seed}" for seed in (777, 888, 999)]]
        np.testing.assert_array_equal(union.per_trial, expected)
    assert len(published.columns) == 14
    np.testing.assert_array_equal(published.params_anomaly, frame["params_anomaly"] == 1)
    assert published.params_anomaly.sum() == 150
    assert "150 cells" in published.warnings[0]
    np.testing.assert_array_equal(published.train_seconds["ImageNet16-120"], frame["in16_epoch_time_s"])


@needs_csv
def test_validation_test_and_their_union_are_different_fields(published: Table) -> None:
    values = [published.column("cifar100", s, 200)[11].value for s in ("x-valid", "x-test", "ori-test")]
    assert values == pytest.approx([67.4533, 67.6067, 67.5300], abs=5e-5)
    assert published.column("cifar10", "ori-test", 12)[0].value == 69.55


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


# ---- columns


def test_mean_is_over_the_trials_there_are(made: Column) -> None:
    assert made[0] == Score(15.0, 2, "cifar10-valid", "x-valid", 12)
    assert made.singles(0) == {777: 10.0, 888: 20.0}


@pytest.mark.parametrize("index", [284, np.int64(284), np.uint16(284)])
def test_any_integer_is_an_index(made: Column, index: object) -> None:
    assert made[index].value == made.mean[284]
    assert type(made[index].value) is float


@pytest.mark.parametrize("index", [-1, N, True, np.True_, 1.0, "3", None, np.float64(2)])
def test_anything_else_is_not(made: Column, index: object) -> None:
    with pytest.raises(UserError):
        made[index]


def test_missing_value_is_an_error_not_nan(made: Column) -> None:
    assert made.cells == N - 1
    with pytest.raises(UserError, match=r"cell #3: no cifar10-valid/x-valid at 12 epochs; .* 15,624 of 15,625"):
        made[3]
    assert made.singles(3) == {}


def test_best_prefers_the_lowest_index_and_skips_what_is_missing() -> None:
    mean = np.full(N, np.nan)
    mean[[900, 40, 41]] = 70.0, 70.0, 60.0
    key = ("cifar10", "ori-test", 200)
    column = Column(key, mean, ~np.isnan(mean), (777,))
    assert column.best() == (40, Score(70.0, 1, *key))
    with pytest.raises(UserError, match="no cell has a value"):
        Column(key, np.full(N, np.nan), np.zeros(N), ()).best()


def test_columns_cannot_be_changed(made: Column) -> None:
    with pytest.raises(ValueError, match="read-only"):
        made.mean[0] = 99.0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (("cifar10", "x-valid", 12), "one of ori-test.*cifar10-valid"),
        (("cifar10-valid", "x-valid", 90), "one of 12, 200"),
        (("cifar10-valid", "x-valid", 200), "it has cifar10-valid/x-valid@12"),
        (("mnist", "x-valid", 12), "one of cifar10-valid, cifar10, cifar100, ImageNet16-120"),
        (("cifar100", "test", 200), "one of x-valid, x-test, ori-test"),
    ],
)
def test_wrong_questions_list_the_right_ones(ask: tuple[str, str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small_table().column(*ask)


def test_parameters_by_hand() -> None:
    """All-none cell: stem, two residual blocks with 1x1 short cuts, last batch norm, classifier."""
    none = cell.index((0,) * 6)
    stem = 3 * 16 * 9 + 2 * 16
    blocks = sum(9 * c * 2 * c + 9 * 4 * c * c + 2 * 2 * 2 * c + c * 2 * c for c in (16, 32))
    rest = 2 * 64 + 64 * 10 + 10
    assert parameters(NB201_SPACE)[none] == stem + blocks + rest == 73_306


# ---- values that cannot be


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


# ---- files


def test_round_trip_keeps_values_and_checksum(tmp_path: Path) -> None:
    table = small_table()
    save_table(table, tmp_path / "deep" / "t.npz")
    back = load_table(tmp_path / "deep" / "t.npz")
    assert os.listdir(tmp_path / "deep") == ["t.npz"]
    assert back.sha256 == table.sha256
    assert back.source == table.source
    (key, column), (back_key, back_column) = *table.columns.items(), *back.columns.items()
    assert key == back_key
    assert column.seeds == back_column.seeds
    for name in ("mean", "trials", "per_trial"):
        np.testing.assert_array_equal(getattr(column, name), getattr(back_column, name))
    np.testing.assert_array_equal(back.train_seconds["cifar10-valid"], np.full(N, 2.0))
    with np.load(tmp_path / "deep" / "t.npz") as packed:
        np.savez(tmp_path / "u.npz", **packed)
    assert load_table(tmp_path / "u.npz").sha256 == table.sha256


@needs_csv
def test_csv_and_its_npz_have_the_same_checksum(published: Table, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(gzip.decompress(CSV.read_bytes()))
    save_table(published, tmp_path / "t.npz")
    back = load_table(tmp_path / "t.npz")
    assert back.sha256 == published.sha256 == load_table(plain).sha256
    assert back.columns.keys() == published.columns.keys()
    assert (tmp_path / "t.npz").stat().st_size < 60e6


def test_checksum_covers_every_array_and_its_name() -> None:
    table = small_table()
    column = table.column("cifar10-valid", "x-valid", 12)
    key, seconds = ("cifar10-valid", "x-valid", 12), table.train_seconds
    assert column.per_trial is not None

    def checksum(**changed) -> str:
        kept = {"columns": table.columns, "params": table.params, "flops": {}, "train_seconds": seconds}
        return Table(**{**kept, "source": "elsewhere", **changed}).sha256

    trials = column.per_trial.copy()
    trials[9, 1] += 1e-9
    changed = [
        checksum(columns={key: Column(key, column.mean, column.trials, column.seeds, trials)}),
        checksum(columns={key: Column(key, column.mean, column.trials, (1, 2, 3), column.per_trial)}),
        checksum(columns={("cifar10-valid", "ori-test", 12): column}),
        checksum(train_seconds={"cifar10": seconds["cifar10-valid"]}),
        checksum(valid_seconds=seconds),
    ]
    assert checksum() == table.sha256  # not the source line
    assert len({*changed, table.sha256}) == 6


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


def _flip(place: Path) -> None:
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 0xFF
    place.write_bytes(data)


def _tamper(place: Path) -> None:
    with np.load(place) as packed:
        arrays = dict(packed)
    arrays["accuracy/cifar10-valid/x-valid/12/mean"][5] += 1
    with open(place, "wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "no such file.*expected a table.*harness data convert"),
        (lambda p: p.write_bytes(p.read_bytes()[:30_000]), "truncated or damaged"),
        (_flip, "truncated or damaged|checksum"),
        (_tamper, "do not match the stored checksum.*harness data convert"),
        (lambda p: p.write_bytes(b""), "an empty file"),
        (lambda p: p.write_text("hello\nworld\n"), "not a benchmark file; expected"),
        (lambda p: np.savez(p, alphas=np.zeros(3)), "something else .it holds alphas"),
        (lambda p: (p.unlink(), p.mkdir()), "folder without NATS-Bench files"),
        (
            lambda p: p.write_bytes(gzip.compress(NOISE)[:2000]),
            "not a benchmark file|truncated",
        ),
        (
            lambda p: np.savez(p, **{"meta": np.array("{}"), "accuracy/a/b/12/mean": np.zeros(2)}),
            "table format None",
        ),
        (
            lambda p: np.savez(p, **{"meta": np.array([{}], dtype=object), "accuracy/x": np.zeros(2)}),
            "truncated or damaged",
        ),
    ],
)
def test_wrong_files_are_one_clear_line(tmp_path: Path, damage, message: str) -> None:
    place = tmp_path / "table.npz"
    save_table(small_table(), place)
    assert load_table(place).source == "made up"
    damage(place)
    with pytest.raises(UserError, match=message) as caught:
        load_table(place)
    assert str(caught.value).startswith(str(place))
    assert "\n" not in str(caught.value)


@needs_csv
@pytest.mark.parametrize("length", [300, 200_000])
def test_truncated_csv_gz(tmp_path: Path, length: int) -> None:
    place = tmp_path / "nb201.csv.gz"
    place.write_bytes(CSV.read_bytes()[:length])
    with pytest.raises(UserError, match="truncated or damaged"):
        load_table(place)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"no official sample at {SAMPLE}")
def test_official_archives_are_sent_to_convert() -> None:
    with pytest.raises(UserError, match=f"NATS-Bench topology folder; convert it.*harness data convert {SAMPLE}"):
        load_table(SAMPLE)


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "t.npz"
    place.write_text("old")

    def full(*_args, **_kwargs) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(UserError, match="No space left"):
        save_table(small_table(), place)
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.npz"]


# ---- imports


def test_neither_torch_nor_pandas_is_imported(tmp_path: Path) -> None:
    save_table(small_table(), tmp_path / "t.npz")
    code = (
        "import sys; from benchmarks.nb201 import table_file, official; "
        f"print(table_file.load_table({str(tmp_path / 't.npz')!r}).source); "
        "print(sorted({'torch', 'pandas', 'nats_bench', 'nas_201_api'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split("\n")[:2] == ["made up", "[]"]


def test_an_npz_whose_description_is_no_object_is_one_line(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, meta=np.array("[]"))
    with pytest.raises(UserError, match="x.npz"):
        load_table(path)
