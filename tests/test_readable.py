"""The readable table: groups, marks, what stands around it."""

from __future__ import annotations

import math
import re

import pytest
from support.campaigns import make_campaign, make_record, results_of, two_searchers
from support.tables import cells_of

from benchmarks.errors import UserError
from benchmarks.nb201.benchmark import bibliography, published
from harness.report import contrasts, frames, markup, numbers, power, readable

CHANCE = [{"at_chance": True}, {"one_shot": {"losses": [2.0, math.nan], "spearman": None, "spearman_good": None}}]


@pytest.mark.parametrize(("counts", "held"), [((1000,) * 6, "1,000"), ((1000, 980, *(1000,) * 4), "980 to 1,000")])
def test_a_table_of_some_cells_says_so(counts, held):
    records, campaign = two_searchers()
    columns = [column for splits in campaign["space"].values() for column in splits.values()]
    for column, count in zip(columns, counts, strict=True):
        column["cells"] = count
    table = readable.readable_table(results_of(records, campaign))
    said = f"{held} of 15,625 cells"
    assert cells_of(table, f"optimum (of {said})")["ImageNet16-120 test"].text == "47.31"
    assert cells_of(table, f"mean of {said}")["ImageNet16-120 test"].text == "33.59"
    (warning,) = table.warnings
    assert warning.startswith(f"The table holds {said}: optimum, mean, regret and the share beaten are of these")
    assert any(f"Scored by nb201: table.npz, {said}, sha256 {'ab' * 32}." in note for note in table.footnotes)
    assert list(frames.results_table(results_of(records, campaign))["table_cells"]) == [*counts, *counts]
    assert "all cells" not in markup.to_markdown(table) + markup.to_latex(table)


def test_readable_table_groups_by_kind_and_marks_the_best():
    records, campaign = two_searchers()
    table = readable.readable_table(results_of(records, campaign))
    assert [g.title for g in table.groups] == ["one-shot", "multi-trial", "the space"]
    gicso, rand = cells_of(table, "gicso"), cells_of(table, "random")
    assert gicso["cifar10 test"] == readable.Cell("92.00 ± 1.58")  # alone of its kind, so best of nothing
    assert gicso["collapsed"].text == "0 of 5 [0, 52 %]"
    assert rand["cifar10 test"] == readable.Cell("93.34 ± 0.88")
    assert (gicso["n"].text, gicso["search s"].text, rand["simulated s"].text) == ("5", "302", "12,000")
    assert cells_of(table, "optimum (of each column)")["ImageNet16-120 test"].text == "47.31"
    texts = " ".join(table.footnotes)
    assert "gicso (one-shot) against random" in texts
    assert "Seeds: 0 to 4." in texts
    assert "Search on cifar10 only" in texts
    assert "at 200 epochs, mean over the stored trials (3 a cell) (cifar10 valid from cifar10-valid)" in texts
    assert campaign["table_sha256"] in texts
    assert "cpu, Example CPU, torch 2.13.0. Revision of the program: 352f11100000." in texts
    assert f"Power: {power.power_note(5, 5, 1)}" in texts
    assert table.warnings == []


def test_rows_that_read_the_same_are_both_bold():
    records = [make_record(k, 0, v) for k, v in (("a", 93.001), ("b", 93.0), ("c", 92.9))]
    table = readable.readable_table(results_of(records, make_campaign(dict.fromkeys("abc", "one-shot"), [0])))
    assert [cells_of(table, m)["cifar10 test"].bold for m in "abc"] == [True, True, False]


@pytest.mark.case(71)
def test_one_seed_has_no_spread_and_says_so():
    table = readable.readable_table(
        results_of([make_record("gicso", 0, 93.0)], make_campaign({"gicso": "one-shot"}, [0]))
    )
    assert cells_of(table, "gicso")["cifar10 test"].text == "93.00"
    assert "n = 1: no ± and no test (gicso)." in table.footnotes


def test_published_rows_are_marked_sourced_and_never_tested_or_bold():
    records, campaign = two_searchers()
    table = readable.readable_table(results_of(records, campaign), published=readable.ALL)
    group = table.groups[-1]
    assert len(group.rows) == len(published()) == 59
    assert all(re.fullmatch(r"published \[\d+\]", r.note) for r in group.rows)
    assert not any(c.bold for r in group.rows for c in r.cells)
    darts, rea = cells_of(table, "DARTS-V1"), cells_of(table, "REA")
    assert (darts["cifar10 test"].text, darts["search s"].text, darts["n"].text) == (
        "54.30 ± 0.00",
        "10,890",
        "3",
    )
    assert (rea["search s"].text, rea["simulated s"].text) == (numbers.EMPTY, "12,000")
    assert rea["ImageNet16-120 valid"].text == "45.15 ± 0.89"
    assert len(table.sources) == len({r["source"] for r in published()})
    assert set(contrasts.comparisons(results_of(records, campaign))["b"]) == {"random"}
    other = readable.readable_table(results_of(records, campaign | {"benchmark": "digits201"}), published=readable.ALL)
    assert other.groups[-1].title == "the space"


def test_published_rows_may_be_chosen_by_name():
    results = results_of(*two_searchers())
    table = readable.readable_table(results, published="GDAS, DARTS-V1")
    assert [r.method for r in table.groups[-1].rows] == ["DARTS-V1", "GDAS"]
    assert len(table.sources) == 1
    with pytest.raises(UserError, match="DARTS-V1"):
        readable.readable_table(results, published="DARTS-V9")


def test_imported_cells_join_as_a_group():
    records, campaign = two_searchers()
    clocks = dict.fromkeys(["search_seconds", "simulated_seconds", "evaluations"])
    records += [make_record("mine", s, 93.0, "imported", trajectory=[], **clocks) for s in range(2)]
    table = readable.readable_table(results_of(records, campaign))
    assert cells_of(table, "mine")["search s"].text == numbers.EMPTY
    assert cells_of(table, "mine")["n"].text == "2"
    assert "imported" in [g.title for g in table.groups]
    assert set(contrasts.comparisons(results_of(records, campaign))["b"]) == {"random", "mine"}


def test_significance_is_marked_in_the_row_that_is_not_the_first():
    records = [make_record(k, s, v + s / 10) for k, v in {"a": 93.0, "b": 54.0, "c": 94.0}.items() for s in range(8)]
    table = readable.readable_table(
        results_of(records, make_campaign(dict.fromkeys("abc", "one-shot"), list(range(8))))
    )
    assert cells_of(table, "a")["cifar10 test"].text == "93.35 ± 0.24"
    assert cells_of(table, "b")["cifar10 test"].text == "54.35 ± 0.24 ↓"
    assert cells_of(table, "c")["cifar10 test"].text == "94.35 ± 0.24 ↑"
    assert cells_of(table, "c")["cifar10 valid"].text == "92.35 ± 0.24"  # the validation columns are not tested
    assert cells_of(table, "c")["cifar100 test"].text == "74.35 ± 0.24"  # not the primary endpoint
    assert r"\underline{93.35 $\pm$ 0.24}" in markup.to_latex(table)
    assert "*93.35 ± 0.24*" in markup.to_markdown(table)


def test_ablations_are_tested_in_their_own_table_and_marked_in_the_main_one():
    """No p: 1 point lower at 12 seeds, better at none. darts, in the same folder, is tested as everybody is."""
    values = {"gicso": 93.0, "gicso-1": 92.0, "darts": 92.95}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(12)]
    campaign = make_campaign(dict.fromkeys(values, "one-shot"), list(range(12)))
    campaign["ablations"] = {"of": "gicso", "rows": {"gicso-1": "no p"}}
    assert set(contrasts.comparisons(results_of(records, campaign))["b"]) == {"darts"}
    table = readable.readable_table(results_of(records, campaign))
    assert cells_of(table, "gicso-1")["cifar10 test"].text.endswith(" ↓")
    assert not cells_of(table, "darts")["cifar10 test"].text.endswith(("↑", "↓"))
    assert any(", for ablations gicso (signed ranks" in note for note in table.footnotes)
    assert f"Power: {power.power_note(12, 12, 1)}." in table.footnotes
    alone = [r for r in records if r["label"] != "darts"]
    campaign["searchers"] = [s for s in campaign["searchers"] if s["label"] != "darts"]
    table = readable.readable_table(results_of(alone, campaign))
    assert f"Power: {power.power_note(12, 12, 1, paired=True)}." in table.footnotes
    assert table.warnings == []  # no random searcher is missed


def test_a_row_that_is_not_complete_is_not_the_best():
    records = [make_record(k, s, v) for k, v in (("a", 93.0), ("c", 92.0)) for s in range(3)]
    records.append(make_record("b", 0, 94.0))
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), [0, 1, 2])
    table = readable.readable_table(results_of(records, campaign))
    assert [cells_of(table, m)["cifar10 test"].bold for m in "abc"] == [True, False, False]
    assert cells_of(table, "b")["cifar10 test"] == readable.Cell("94.00")
    alone = readable.readable_table(results_of([r for r in records if r["label"] != "c"], campaign))
    assert not cells_of(alone, "a")["cifar10 test"].bold  # the only complete row


@pytest.mark.parametrize("sign", CHANCE)
def test_a_row_with_a_supernet_at_chance_is_warned_of_and_not_the_best(sign):
    """Records of older versions say it by losses that are NaN."""
    records = [make_record(name, s, v) for name, v in (("a", 94.0), ("b", 93.0), ("c", 92.0)) for s in range(2)]
    records[1] |= sign
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), [0, 1])
    table = readable.readable_table(results_of(records, campaign))
    assert [cells_of(table, m)["cifar10 test"].bold for m in "abc"] == [False, True, False]
    assert [cells_of(table, m)["cifar10 test"].second for m in "abc"] == [False, False, True]
    assert any(re.match(r"The supernet ended at chance, .*: a 1 of 2 runs; what", w) for w in table.warnings)
    assert frames.runs_table(results_of(records, campaign))["at_chance"].tolist() == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert frames.diagnostics(results_of(records, campaign))["at_chance"].tolist() == [1, 0, 0]
    records[1]["status"] = "failed"
    assert "at chance" not in " ".join(readable.readable_table(results_of(records, campaign)).warnings)


def test_published_rows_cite_entries_that_there_are():
    known = set(re.findall(r"^@\w+\{([^,]+),", bibliography(), re.MULTILINE))
    cited = {row["bibkey"] for row in published()} - {""}
    assert cited <= known
    assert known - cited == {"dong2021natsbench"}
    latex = markup.to_latex(readable.readable_table(results_of(*two_searchers()), published=readable.ALL))
    assert r"~\cite{liu2019darts} & 3 &" in latex
