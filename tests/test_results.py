"""Campaigns of several folders as one: which runs count, and what does not belong together."""

from __future__ import annotations

import csv

import pytest
from support.campaigns import failed, make_campaign, make_record, results_of, write_campaign
from support.tables import Page

from benchmarks.errors import UserError
from harness import results
from harness.report import page


def parts(campaigns, runs):
    return [results_of(own, campaign) for campaign, own in zip(campaigns, runs, strict=True)]


def test_campaigns_are_joined_and_a_run_counts_once(tmp_path):
    one = [make_record("a", s, 93.0 + s / 10) for s in (0, 1)] + [failed("a", 2, "boom")]
    two = [make_record("a", s, 93.0 + s / 10) for s in (1, 2)] + [
        make_record("b", s, 90.0, "multi-trial") for s in (1, 2)
    ]
    folders = [
        write_campaign(tmp_path / "one", one, make_campaign({"a": "one-shot"}, [0, 1, 2])),
        write_campaign(tmp_path / "two", two, make_campaign({"a": "one-shot", "b": "multi-trial"}, [1, 2], threads=2)),
    ]
    paths = page.write_report(folders)
    assert paths[0].parent == folders[0] / "report"
    rows = {(r["label"], r["dataset"], r["split"]): r for r in csv.DictReader(paths[0].open())}
    assert rows["a", "cifar10", "test"]["n"] == "3"  # seed 2 failed in one folder and ended in the other
    assert rows["b", "cifar10", "test"]["n"] == "2"
    words = Page((folders[0] / "report" / "report.html").read_text(encoding="utf-8")).words
    assert "2 run(s) are in several folders and count once." in words
    assert "the campaigns differ in threads." in words
    assert "n = 3 against 2 cannot reach 0.05 after Holm over 1 comparison" in words


def test_joined_runs_of_one_seed_made_in_two_ways_are_not_one_run(tmp_path):
    """Equal labels and seeds, other keys (say, another precision): the second folder's are left out, and named."""
    one, two = ([make_record("a", s, v + s, key=f"{v}-{s}") for s in (0, 1)] for v in (93.0, 50.0))
    campaigns = [make_campaign({"a": "one-shot"}, [0, 1]) for _ in range(2)]
    joined = results.join(parts(campaigns, [one, two]), ["one", "two"])
    assert [r.scores[1].value for r in joined.records] == [93.0, 94.0]
    left_out = "2 run(s) left out: another folder has the same seeds, made in another way (a seed 0, a seed 1)."
    assert joined.campaign.warnings == [left_out]


def test_a_finished_run_counts_before_a_failed_one_that_was_made_in_another_way():
    campaigns = [make_campaign({"a": "one-shot"}, [0]) for _ in range(2)]
    runs = [[failed("a", 0, "boom", key="x")], [make_record("a", 0, 93.0, key="y")]]
    for order in (runs, runs[::-1]):
        joined = results.join(parts(campaigns, order), ["one", "two"])
        assert [r.status for r in joined.records] == ["done"]
        assert joined.campaign.warnings == [
            "1 run(s) left out: another folder has the same seeds, made in another way (a seed 0)."
        ]


def test_a_joint_table_has_the_supernets_setting():
    """Imported cells alone join any preset, queries any precision."""
    campaigns = [make_campaign({}, [0], preset={"name": "imported"}, precision="none", threads=0),
                 make_campaign({"random": "multi-trial"}, [0]),
                 make_campaign({"a": "one-shot"}, [0], precision="bf16", threads=2)]  # fmt: skip
    runs = [[make_record("mine", 0, 93.0, "imported")], [make_record("random", 0, 91.0, "multi-trial")]]
    runs.append([make_record("a", 0, 92.0)])
    joined = results.join(parts(campaigns, runs), ["one", "two", "three"])
    campaign = joined.campaign
    assert (campaign.preset.name, campaign.precision, campaign.threads) == ("small", "bf16", 2)
    assert (campaign.warnings, len(joined.records)) == ([], 3)


def test_a_name_that_is_imported_in_one_folder_and_run_in_another_is_refused():
    campaigns = [make_campaign({"gicso": "one-shot"}, [0]) for _ in range(2)]
    imported = make_record("gicso", 0, 93.0, "imported")
    with pytest.raises(UserError, match="'gicso' is one-shot in one folder and imported in another"):
        results.join(parts(campaigns, [[imported], [make_record("gicso", 1, 92.0)]]), ["one", "two"])


def test_joined_campaigns_keep_each_one_s_seeds_and_the_ablations():
    """a is to have 3 seeds and b 1, in a folder that was joined before; the ablations stay ablations."""
    first = make_campaign({"a": "one-shot", "b": "one-shot"}, [0, 1, 2])
    first["searchers"][1]["seeds"] = [0]
    second = make_campaign({"a": "one-shot", "a-1": "one-shot"}, [0, 1, 2, 3])
    second["ablations"] = {"of": "a", "rows": {"a-1": "no x"}}
    joined = results.join(parts([first, second], [[], []]), ["one", "two"])
    assert {s.label: s.seeds for s in joined.searchers} == {"a": [0, 1, 2, 3], "b": [0], "a-1": [0, 1, 2, 3]}
    assert joined.campaign.ablations.model_dump() == second["ablations"]
    assert [s.label for s in joined.compared] == ["a", "b"]
    assert joined.ablated.label == "a"
    third = second | {"ablations": {"of": "b", "rows": {"a-1": "no x"}}}
    with pytest.raises(UserError, match="ablations of .* and of .*folders of their own"):
        results.join(parts([second, third], [[], []]), ["one", "two"])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_copies_of_one_run_stay_copies_beside_an_older_campaign(order):
    """One campaign says that params uses no seed and ran it once; an older one does not say it and ran it twice."""
    seeds = ([0], [5, 6])
    campaigns = [make_campaign({"params": "training-free"}, own) for own in seeds]
    campaigns[0]["searchers"][0]["uses_seed"] = False
    runs = [[make_record("params", s, 93.0, "training-free") for s in own] for own in seeds]
    joined = results.join(parts([campaigns[k] for k in order], [runs[k] for k in order]), ["one", "two"])
    assert len(joined.records) == 3
    assert len(joined.runs("params")) == len(joined.finished) == len(joined.planned(joined.searchers[0])) == 1


@pytest.mark.parametrize(
    "changed", [{"table_sha256": "cd" * 32}, {"preset": {"name": "paper"}}, {"search_dataset": "x"}]
)
def test_campaigns_that_do_not_belong_together_are_refused(tmp_path, changed):
    campaign = make_campaign({"a": "one-shot"}, [0])
    folders = [write_campaign(tmp_path / "one", [make_record("a", 0, 93.0)], campaign),
               write_campaign(tmp_path / "two", [make_record("a", 0, 93.0)], campaign | changed)]  # fmt: skip
    with pytest.raises(UserError, match=next(iter(changed))):
        page.write_report(folders)
    assert not (folders[0] / "report").exists()


def test_a_campaign_without_runs_says_how_to_start_it(tmp_path):
    folder = write_campaign(tmp_path / "c", [], make_campaign({"a": "one-shot"}, [0]))
    with pytest.raises(UserError, match="harness run --searchers x"):
        page.write_report([folder])
