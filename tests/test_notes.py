"""What stands above and below a table: revisions, machines, how answers were chosen, warnings."""

from __future__ import annotations

import pytest
from support.campaigns import failed, make_campaign, make_record, results_of, two_searchers
from support.tables import cells_of

from harness.report import notes, power, readable
from harness.report.notes import Question


def test_runs_of_other_revisions_are_named_and_warned_of():
    records, campaign = two_searchers()
    records[0]["environment"] = records[0]["environment"] | {"git": "352f11100000-dirty", "source": "0123456789ab"}
    records[1]["environment"] = records[1]["environment"] | {"git": ""}  # an installed copy
    named = "352f11100000; source 0123456789ab; source a49f42c77202"
    table = readable.readable_table(results_of(records, campaign))
    assert any(note.endswith(f"Revision of the program: {named}.") for note in table.footnotes)
    assert table.warnings == [f"The runs come from several revisions of the program: {named}."]


def test_a_run_resumed_by_another_revision_names_both():
    records, campaign = two_searchers()
    records[2]["begun_in"] = records[2]["environment"] | {"git": "a923c9f00000", "cpu": "Older CPU"}
    table = readable.readable_table(results_of(records, campaign))
    assert "The runs come from several revisions of the program: 352f11100000; a923c9f00000." in table.warnings
    assert any("several machines" in warning for warning in table.warnings)


@pytest.mark.case(44, 73)
def test_failed_collapsed_and_missing_random_are_warned_of():
    records = [make_record("gicso", s, 93.0, collapsed=s < 2) for s in range(4)] + [failed("gicso", 4, "out\nof")]
    table = readable.readable_table(results_of(records, make_campaign({"gicso": "one-shot"}, list(range(5)))))
    assert cells_of(table, "gicso")["n"].text == "4/5"
    assert any("gicso: 4 of 5 seeds: 1 failed (out)" in w for w in table.warnings)
    assert any("(collapsed, × in the dots): gicso 2 of 4 runs." in w for w in table.warnings)
    assert not any("disconnected" in w or "nearly equal" in w for w in table.warnings)
    assert any("No random searcher" in w for w in table.warnings)


def test_the_power_of_pairs_counts_the_seeds_that_both_have():
    records = [make_record("a", s, 90.0 + s) for s in range(5, 15)] + [make_record("b", s, 91.0) for s in range(12, 22)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(5, 22)))
    texts = readable.readable_table(results_of(records, campaign), question=Question(paired=True)).footnotes
    assert f"With the runs there are (fewest: b): {power.power_note(3, 3, 1, paired=True)}." in texts


def test_how_each_searcher_chose_its_cell_is_said_where_the_campaign_says_it():
    names = ["darts", "darts-0", "cso", "cso-1", "random", "imp"]
    campaign = make_campaign(dict.fromkeys(names, "one-shot") | {"imp": "imported"}, [0])
    records = [make_record(name, 0, 93.0) for name in names]
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert "The answered cell is that of the last step (darts, cso, random)." in texts
    for k, row in enumerate(campaign["searchers"][:5]):
        row["answer_rule"] = "the arg-max" if k < 3 else "the best"
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert "The answered cell is the arg-max (darts, cso); the best (cso-1, random)." in texts
    alone = readable.readable_table(
        results_of(records[-1:], campaign | {"searchers": campaign["searchers"][-1:]})
    ).footnotes
    assert "answered cell" not in " ".join(alone)
    assert "batch statistics" not in " ".join(alone)


def test_nearly_equal_alphas_and_disconnected_answers_are_warned_of():
    changes = [{"alpha_entropy": 0.9996, "alpha_change": 0.05}, {"alpha_entropy": 0.9, "disconnected": True}]
    records = [make_record("darts", s, 93.0, **change) for s, change in enumerate(changes)]
    text = " ".join(readable.readable_table(results_of(records, make_campaign({"darts": "one-shot"}, [0, 1]))).warnings)
    assert "ended nearly equal (softmax entropy above 0.999 of 1): darts 1 of 2 runs;" in text
    assert "depends on no input (disconnected): darts 1 of 2 runs." in text


def test_the_primary_endpoint_and_the_settings_tried_are_said():
    records, campaign = two_searchers()
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert any(
        t.startswith("Primary endpoint: cifar10 test accuracy (by default, as none was declared);") for t in texts
    )
    assert not any("during development" in t for t in texts)  # an older campaign does not say
    campaign["endpoint"] = "cifar100"
    campaign["searchers"][0]["development"], campaign["searchers"][1]["development"] = "7 settings", "none"
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert any(t.startswith("Primary endpoint: cifar100 test accuracy (declared with the campaign);") for t in texts)
    assert "Settings tried during development: gicso: 7 settings; of the others none." in texts
    campaign["searchers"][0]["development"] = "none"
    texts = readable.readable_table(results_of(records, campaign)).footnotes
    assert any("none, for any searcher" in t for t in texts)


def test_how_many_seeds_equivalence_takes_is_said_where_a_margin_is_asked_for():
    """gicso's five have a standard deviation of 1.58."""
    needed = power.equivalence_needs(2.5**0.5, 2.0, 1)
    texts = readable.readable_table(results_of(*two_searchers()), question=Question(margin=2)).footnotes
    said = f"of gicso, 1.58, show it with 80 % power from {needed} seeds each on"
    assert any(said in t and t.startswith("Equivalence within 2 points") for t in texts)


def test_what_so_many_runs_could_show_in_short():
    records, campaign = two_searchers()
    assert notes.reach(results_of(records, campaign)) == (
        f"n = 5 shows with 80 % power what is {power.detectable(5, 5):.2g} standard deviations apart"
    )
    few = results_of([r for r in records if r["seed"] < 3], campaign)
    assert notes.reach(few) == "n = 3 could show no difference (smallest p after Holm 0.1)"
    one = results_of([r for r in records if r["seed"] < 1], campaign)
    assert notes.reach(one) == "n = 1 shows no difference at all"


def test_pairs_that_share_nothing_are_warned_of():
    records, campaign = two_searchers()
    said = "share nothing at a seed"
    assert not any(said in w for w in notes.warnings(results_of(records, campaign)))
    assert any(said in w for w in notes.warnings(results_of(records, campaign), Question(paired=True)))
