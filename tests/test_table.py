"""The table: values against independent readings, look-ups, missing trials."""

from __future__ import annotations

import numpy as np
import pytest
from support.archives import N, small_table
from support.published import CSV, PROXY, needs_csv

from benchmarks.base import Score
from benchmarks.errors import UserError
from benchmarks.nb201 import cell as cells
from benchmarks.nb201.table import Column, Table
from benchmarks.nb201.table_file import load_table


@pytest.fixture(scope="module")
def made() -> Column:
    return small_table().column("cifar10-valid", "x-valid", 12)


@pytest.mark.case(82)
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


@pytest.mark.case(1, 3, 20)
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


@pytest.mark.case(15, 18)
@needs_csv
def test_validation_test_and_their_union_are_different_fields(published: Table) -> None:
    values = [published.column("cifar100", s, 200)[11].value for s in ("x-valid", "x-test", "ori-test")]
    assert values == pytest.approx([67.4533, 67.6067, 67.5300], abs=5e-5)
    assert published.column("cifar10", "ori-test", 12)[0].value == 69.55


@pytest.mark.case(7)
def test_mean_is_over_the_trials_there_are(made: Column) -> None:
    assert made[0] == Score(15.0, 2, "cifar10-valid", "x-valid", 12)
    assert made.singles(0) == {777: 10.0, 888: 20.0}


@pytest.mark.case(30)
@pytest.mark.parametrize("index", [284, np.int64(284), np.uint16(284)])
def test_any_integer_is_an_index(made: Column, index: object) -> None:
    assert made[index].value == made.mean[284]
    assert type(made[index].value) is float


@pytest.mark.parametrize("index", [-1, N, True, np.True_, 1.0, "3", None, np.float64(2)])
def test_anything_else_is_not(made: Column, index: object) -> None:
    with pytest.raises(UserError):
        made[index]


@pytest.mark.case(7)
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


@pytest.mark.case(2, 9)  # intermediate epochs are not in our table at all
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


@pytest.mark.case(6)
def test_answers_are_means_and_never_change(table):
    column = load_table(table).column("cifar10", "ori-test", 200)
    assert {column[0].value for _ in range(40)} == {85.863333}
    assert column[0].trials == 3
    assert column.singles(284)[777] != column.singles(284)[888]


@pytest.mark.case(11)
def test_wrong_parameter_counts_of_the_official_files_are_named(table):
    found = load_table(table)
    wrong = cells.index(cells.parse(
        "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    ))  # fmt: skip
    assert found.params_anomaly[wrong]
    assert found.params_anomaly.sum() == 150
    assert any("150 cells" in line for line in found.warnings)
