"""What is shown of cells, of the best one and of registries."""

import dataclasses

import pytest

from benchmarks.errors import UserError
from benchmarks.nb201 import benchmark as nb201
from harness import evaluation
from searchers import base, catalogue


@pytest.mark.case(82)
@pytest.mark.parametrize(
    ("dataset", "answer"),
    [("cifar10", "6111 94.3733"), ("cifar100", "9930 73.5133"), ("ImageNet16-120", "857 47.3111")],
)
def test_best(harness, table, dataset, answer):
    code, out, _ = harness("best", dataset, "--table", table)
    assert code == 0
    index, value = answer.split()
    assert out.split()[0] == index
    assert f"{value} %" in out
    assert "Scored by nb201: CSV of published values, rounded to 6 decimals, sha256 " in out


@pytest.mark.case(28)
def test_show(harness, table, tmp_path):
    for spelling in ("284", "naslib:0,0,1,0,3,1", "1,1,1,0,2,0"):
        code, out, _ = harness("show", spelling, "--table", table)
        assert code == 0
        assert "cell 284\n" in out
        assert "Scored by nb201: CSV of published values, rounded to 6 decimals, sha256 " in out
        assert "0.101306 M parameters" in out
        assert out.count("→") >= 6
        assert "88.7900   mean of 3 trials" in out
    (tmp_path / "nb201.npz").write_bytes(b"PK")
    code, _, err = harness("show", "284", "--table", tmp_path / "nb201.npz")
    assert (code, "nb201.npz: not a benchmark file" in err) == (2, True)
    code, _, err = harness("show", "|nope~0|", "--table", table)
    assert code == 2
    assert "error: cell" in err


def test_searchers_are_listed_with_their_settings_and_ablations(harness):
    lines = harness("list", "searchers")[1].splitlines()
    heads = [line.partition(")")[0] for line in lines if not line.startswith(" ")]
    assert heads == [f"{name}  ({catalogue.find(name).kind}" for name in base.SEARCHERS]
    assert "    population=24               ≥ 6, a multiple of 3" in lines
    assert "    fitness=error               error or loss or mixture" in lines
    darts = lines[lines.index(next(line for line in lines if line.startswith("darts "))) :]
    costs = [line.strip() for line in darts if " takes " in line or "not measured" in line][:6]
    # 391 step pairs of 2.3658 s (results/perf/amd-epyc-1-threads/perf.md) are 925 s
    assert "takes 12 h 50 min at nb201 paper: 50 steps of 925 s, AMD EPYC, by the time of its steps" in costs
    assert "takes 6 min 16 s at nb201 small: 50 steps of 7.51 s, AMD EPYC, by the fastest of 5 runs" in costs
    assert costs[-1] == "not measured at nb201 smoke, digits201 smoke, darts smoke, darts small, darts paper"
    assert "    ablation: no warm-up, explores instead [warmup=0.0,exploration=0.8]" in lines


def test_presets_are_listed_with_their_networks(harness):
    lines = harness("list", "presets")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["nb201", name] for name in ("smoke", "small", "paper")),
        *(["digits201", name] for name in ("smoke", "small")),
        *(["darts", name] for name in ("smoke", "small", "paper")),
        *(["darts", name] for name in ("smoke", "small", "nb301", "paper")),
    ]
    assert lines[-1] == "darts     paper  trains answers: C=36, 20 cells, 32×32, all images, 600 epochs, batch 96"
    assert (
        "nb201     small  C=8, N=1, 16×16, 6,400 + 6,400 images, 50 epochs, batch 64; "
        "multi-trial: 12,000 simulated seconds" in lines
    )


def test_benchmarks_are_listed(harness):
    lines = harness("list", "benchmarks")[1].splitlines()
    assert lines[0].startswith("nb201      NAS-Bench-201: 15,625 cells; search on cifar10, cifar100, ImageNet16-120; ")
    assert [line.split()[0] for line in lines] == ["nb201", "digits201", "darts"]


def test_presets_and_a_cell_to_train_need_no_table(harness, monkeypatch):
    """Those of NAS-Bench-201 may be elsewhere."""

    def refuse(table, places):
        raise UserError("this table is elsewhere")

    monkeypatch.setattr(nb201, "ENTRY", dataclasses.replace(nb201.ENTRY, open=refuse))
    code, out, _ = harness("list", "presets")
    assert (code, "trains answers" in out) == (0, True)
    assert evaluation._cell("DARTS_V2", "auto", ())[0].name == "darts"
