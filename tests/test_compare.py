"""Two campaigns compared, seed by seed."""

from __future__ import annotations

import pytest
from support.campaigns import make_campaign, make_record, write_campaign

from harness.compare import compare


def test_compared_campaigns_with_one_seed_in_common_are_not_tested(tmp_path):
    folders = [write_campaign(tmp_path / name, [make_record("a", s, 93.0) for s in seeds],
                              make_campaign({"a": "one-shot"}, seeds))
               for name, seeds in (("one", [0, 1]), ("two", [1, 2]))]  # fmt: skip
    text = compare(*folders, 0.5)
    assert "Scored by nb201: table.npz, sha256 abababababab\n" in text
    assert "  a, cifar10: 93.00 | 93.00; n = 1, +0.00, not tested\n" in text
    assert text.count("not tested") == 1  # the other data sets are the same searches seen again


def test_an_endpoint_without_scores_is_not_tested(tmp_path):
    """As that of a campaign whose answers are still to be trained on that data set."""
    campaign = make_campaign({"a": "one-shot"}, [0, 1], endpoint="stripes")
    folders = [write_campaign(tmp_path / name, [make_record("a", s, 93.0) for s in (0, 1)], campaign) for name in "ab"]
    assert "  a, stripes: – | –; n = 0, not tested" in compare(*folders)


@pytest.mark.case(70)
def test_campaigns_are_compared_by_seed(harness, table, tmp_path):
    for folder, text in (("a", "0,9930\n1,1835\n2,284\n"), ("b", "0,9930\n1,9930\n2,284\n3,17\n")):
        path = tmp_path / f"{folder}.csv"
        path.write_text("seed,cell\n" + text)
        assert harness("import", "mine", path, tmp_path / folder, "--table", table)[0] == 0
    code, out, _ = harness("compare", tmp_path / "a", tmp_path / "b", "--margin", 0.5)
    assert code == 0
    assert "mine: n = 3 | 4; the same cell at 2 of 3 shared seeds" in out
    # differences at seeds 0, 1, 2 on CIFAR-10 test: 0, 94.36 − 54.30, 0
    assert "n = 3, +0.00 [+0.00, +40.07; 0.750], +13.36, too few seeds to tell, p = 1; within 0.5 points p = 0." in out
    assert "settings and environment\n  the same" in out
    assert harness("compare", tmp_path / "a", tmp_path / "nowhere")[0] == 2
