"""What is shown of cells, of the best one and of registries."""

import pytest


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
