"""Tables from synthetic records: contract columns, hand-worked numbers, escaping, warnings."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import numpy as np
import pytest
from support.campaigns import SPACE, failed, make_campaign, make_record, make_scores, two_searchers

from benchmarks.nb201.benchmark import bibliography, published
from harness.report import frames, inference, markup, notes, numbers, power
from harness.report.notes import Asked


def test_results_table_is_the_contract_with_hand_worked_numbers():
    records, campaign = two_searchers()
    frame = frames.results_table(records, campaign)
    assert ",".join(frame.columns) == (
        "searcher,label,kind,search_dataset,dataset,split,epochs,n,mean,std,median,ci_low,ci_high,ci_level,regret,"
        "mean_without_none,std_without_none,search_seconds,simulated_seconds,evaluations,"
        "iqm,iqm_low,iqm_high,relative_improvement,beaten,benchmark,table_sha256,table_cells"
    )
    assert len(frame) == 2 * 3 * 2
    row = frame.query("label == 'gicso' and dataset == 'cifar10' and split == 'test'").iloc[0]
    assert (row["n"], row["mean"], row["median"], row["ci_low"], row["ci_high"]) == (
        5,
        92.0,
        92.0,
        90.0,
        94.0,
    )
    assert row["std"] == pytest.approx(1.5811388)
    assert row["ci_level"] == 0.9375
    assert row["regret"] == pytest.approx(94.37 - 92)
    assert (row["iqm"], row["relative_improvement"]) == (92.0, pytest.approx(100 * (92 - 87.06) / 87.06))
    assert row["beaten"] == pytest.approx(100 * (92 - 10) / (94.37 - 10))  # of cells spread evenly from 10 to 94.37
    assert np.isnan(row["iqm_low"])  # five values: no bootstrap
    assert (row["search_dataset"], row["epochs"]) == ("cifar10", 200)
    assert (row["benchmark"], row["table_sha256"], row["table_cells"]) == ("nb201", "ab" * 32, 15625)
    assert (row["search_seconds"], row["simulated_seconds"], row["evaluations"]) == (302.0, 0.0, 1500)
    valid = frame.query("label == 'gicso' and dataset == 'ImageNet16-120' and split == 'valid'").iloc[0]
    assert valid["mean"] == pytest.approx(92 - 47 - 2)
    assert valid["search_dataset"] == "cifar10"  # searched there, scored here
    assert frame.query("label == 'random'")["simulated_seconds"].unique() == [12000]


def test_columns_without_none_are_apart():
    records = [make_record("gicso", s, 90.0, scores=make_scores(90.0, without=93.0 + s)) for s in range(2)]
    frame = frames.results_table(records, make_campaign({"gicso": "one-shot"}, [0, 1]))
    row = frame.query("dataset == 'cifar10' and split == 'test'").iloc[0]
    assert (row["mean"], row["std"], row["mean_without_none"]) == (90.0, 0.0, 93.5)
    assert row["std_without_none"] == pytest.approx(0.5**0.5)


def test_csv_leaves_empty_what_is_not_known():
    frame = frames.results_table([make_record("gicso", 0, 93.1)], make_campaign({"gicso": "one-shot"}, [0]))
    row = next(csv.DictReader(io.StringIO(frames.to_csv(frame))))
    assert (row["n"], row["epochs"], row["mean"]) == ("1", "200", "91.1")
    assert [row[c] for c in ("std", "ci_low", "ci_high", "ci_level", "std_without_none")] == [""] * 5
    assert "nan" not in frames.to_csv(frame).lower()


def test_comparisons_are_one_family_of_searchers_times_datasets():
    values = {"gicso": 94.0, "darts": 54.0, "random": 93.0}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(5)]
    frame = frames.comparisons(records, make_campaign(dict.fromkeys(values, "one-shot"), list(range(5))))
    assert ",".join(frame.columns) == (
        "dataset,split,a,b,n_a,n_b,test,p,p_holm,effect,effect_low,effect_high,margin,p_equivalence,verdict"
    )
    assert list(zip(frame["a"], frame["b"], frame["dataset"], strict=True)) == [
        ("gicso", b, d) for b in ("darts", "random") for d in SPACE
    ]
    assert frame["p"].to_numpy() == pytest.approx(np.full(6, 2 / 252))
    assert frame["p_holm"].to_numpy() == pytest.approx(np.full(6, 6 * 2 / 252))  # 0.0476
    assert set(frame["verdict"]) == {"better"}
    assert set(frame["split"]) == {"test"}
    assert (frame["effect_low"] < 1).all()  # 5 seeds of 5 leave some doubt
    reverse = frames.comparisons(records, make_campaign({"darts": "one-shot", "gicso": "one-shot"}, list(range(5))))
    assert list(reverse.query("b == 'gicso'")["verdict"]) == ["worse"] * 3


def test_constant_single_and_missing_groups_have_no_zero_and_no_nan_words():
    records = [make_record("a", s, 54.3) for s in range(5)] + [make_record("b", s, 54.3) for s in range(5)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot", "c": "one-shot", "d": "one-shot"}, list(range(5)))
    records += [make_record("c", 0, 93.0)] + [failed("d", s, "boom") for s in range(5)]
    frame = frames.comparisons(records, campaign).set_index(["b", "dataset"])
    same = frame.loc[("b", "cifar10")]
    assert (same["p"], same["p_holm"], same["effect"], same["verdict"]) == (1.0, 1.0, 0.5, "constant")
    for other, n in (("c", 1), ("d", 0)):
        row = frame.loc[(other, "cifar10")]
        assert (row["n_b"], row["verdict"]) == (n, "not tested")
        assert np.isnan([row["p"], row["p_holm"], row["effect"]]).all()
    text = frames.to_csv(frame.reset_index()[frames.COMPARISON_COLUMNS])
    assert "nan" not in text.lower()
    assert "None" not in text


def test_margin_makes_equivalence_possible():
    records = [make_record(k, s, 93 + s / 100) for k in ("a", "b") for s in range(8)]
    campaign = make_campaign({"a": "one-shot", "b": "one-shot"}, list(range(8)))
    assert set(frames.comparisons(records, campaign)["verdict"]) == {"not distinguishable"}
    frame = frames.comparisons(records, campaign, Asked(margin=0.5))
    assert set(frame["verdict"]) == {"equivalent"}
    assert frame["p_equivalence"].to_numpy() == pytest.approx(
        np.full(3, 3 / math.comb(16, 8))
    )  # all apart; Holm over 3
    table = markup.readable_table(records, campaign, asked=Asked(margin=0.5))
    said = "≈ those equivalent within 0.5 points (two one-sided tests, p ≤ 0.05 after Holm in a family of their own)."
    assert any(note.endswith(said) for note in table.footnotes)
    assert cells_of(table, "b")["cifar10 test"].text.endswith(" ≈")


def test_what_could_not_be_tested_is_not_called_alike():
    """No seed in common: no pair, no test."""
    records = [make_record("a", s, 93 + s / 10) for s in range(6)]
    records += [make_record("b", s, 93 + s / 10) for s in (6, 7, 8)]
    frame = frames.comparisons(records, make_campaign(dict.fromkeys("ab", "one-shot"), [0]), Asked(True, 0.5))
    assert set(frame["verdict"]) == {"not tested"}
    assert frame[["p", "p_holm", "p_equivalence"]].isna().all(axis=None)


@pytest.mark.parametrize(("counts", "held"), [((1000,) * 6, "1,000"), ((1000, 980, *(1000,) * 4), "980 to 1,000")])
def test_a_table_of_some_cells_says_so(counts, held):
    records, campaign = two_searchers()
    columns = [column for splits in campaign["space"].values() for column in splits.values()]
    for column, count in zip(columns, counts, strict=True):
        column["cells"] = count
    table = markup.readable_table(records, campaign)
    said = f"{held} of 15,625 cells"
    assert cells_of(table, f"optimum (of {said})")["ImageNet16-120 test"].text == "47.31"
    assert cells_of(table, f"mean of {said}")["ImageNet16-120 test"].text == "33.59"
    (warning,) = table.warnings
    assert warning.startswith(f"The table holds {said}: optimum, mean, regret and the share beaten are of these")
    assert any(f"Scored by nb201: table.npz, {said}, sha256 {'ab' * 32}." in note for note in table.footnotes)
    assert list(frames.results_table(records, campaign)["table_cells"]) == [*counts, *counts]
    assert "all cells" not in markup.to_markdown(table) + markup.to_latex(table)


def cells_of(table: markup.ReadableTable, method: str) -> dict[str, markup.Cell]:
    row = next(r for g in table.groups for r in g.rows if r.method == method)
    return dict(zip(table.headings[1:], row.cells, strict=True))


def test_readable_table_groups_by_kind_and_marks_the_best():
    records, campaign = two_searchers()
    table = markup.readable_table(records, campaign)
    assert [g.title for g in table.groups] == ["one-shot", "multi-trial", "the space"]
    gicso, rand = cells_of(table, "gicso"), cells_of(table, "random")
    assert gicso["cifar10 test"] == markup.Cell("92.00 ± 1.58", second=True)
    assert rand["cifar10 test"] == markup.Cell("93.34 ± 0.88", True)
    assert (gicso["n"].text, gicso["search s"].text, rand["simulated s"].text) == ("5", "302", "12,000")
    assert cells_of(table, "optimum (of each column)")["ImageNet16-120 test"].text == "47.31"
    texts = " ".join(table.footnotes)
    assert "gicso (one-shot) against random" in texts
    assert "Seeds: 0 to 4." in texts
    assert "Search on cifar10 only" in texts
    assert "at 200 epochs, mean over the stored trials (3 a cell) (cifar10 valid from cifar10-valid)" in texts
    assert campaign["table_sha256"] in texts
    assert "cpu, Example CPU, torch 2.13.0. Revision of the program: 352f11100000." in texts
    assert f"Power: {power.power_note(5, 5, 3)}" in texts
    assert table.warnings == []


def test_runs_of_other_revisions_are_named_and_warned_of():
    records, campaign = two_searchers()
    records[0]["environment"] = records[0]["environment"] | {"git": "352f11100000-dirty", "source": "0123456789ab"}
    records[1]["environment"] = records[1]["environment"] | {"git": ""}  # an installed copy
    named = "352f11100000; source 0123456789ab; source a49f42c77202"
    table = markup.readable_table(records, campaign)
    assert any(note.endswith(f"Revision of the program: {named}.") for note in table.footnotes)
    assert table.warnings == [f"The runs come from several revisions of the program: {named}."]


def test_a_run_resumed_by_another_revision_names_both():
    records, campaign = two_searchers()
    records[2]["begun_in"] = records[2]["environment"] | {"git": "a923c9f00000", "cpu": "Older CPU"}
    table = markup.readable_table(records, campaign)
    assert "The runs come from several revisions of the program: 352f11100000; a923c9f00000." in table.warnings
    assert any("several machines" in warning for warning in table.warnings)


EPYC = {"cpu": "AMD EPYC", "cpu_family": 26, "cpu_model": 2}


def machines(*changes: dict[str, Any]) -> list[str]:
    """The machines that a table names whose runs were made in environments with these changes."""
    records, _ = two_searchers()
    for record, change in zip(records, changes, strict=False):
        record["environment"] = record["environment"] | change
    return notes.hardware(records[: len(changes)])


def test_processors_of_one_name_are_told_apart_by_model_and_kernels():
    kernels = {"cpu_capability": "AVX2", "onednn_isa": "Intel AVX2"}
    assert machines(EPYC, EPYC | {"cpu_model": 17}) == [
        "cpu, AMD EPYC (family 26 model 17), torch 2.13.0",
        "cpu, AMD EPYC (family 26 model 2), torch 2.13.0",
    ]
    assert machines(EPYC | kernels, EPYC | kernels | {"onednn_isa": "Intel SSE4.1"}) == [
        "cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel AVX2, torch 2.13.0",
        "cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel SSE4.1, torch 2.13.0",
    ]


def test_runs_made_without_torch_are_of_no_other_machine():
    kernels = {"cpu_capability": "AVX2", "onednn_isa": "Intel AVX2"}
    expected = ["cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel AVX2, torch 2.13.0"]
    assert machines(EPYC | kernels, EPYC) == expected


KERNELS = {"cpu_capability": "AVX512", "onednn_isa": "Intel AVX-512"}
H100 = {"device": "cuda (NVIDIA H100)"}


@pytest.mark.parametrize(
    ("first", "second", "several"),
    [
        (EPYC | KERNELS | H100, EPYC, False),  # darts on a GPU, random beside it without torch
        (EPYC | KERNELS, EPYC, False),
        (EPYC | KERNELS | H100, EPYC | KERNELS | {"device": "cuda:1 (NVIDIA H100)"}, False),
        (EPYC | KERNELS, EPYC | KERNELS | {"torch": "2.14.0"}, False),
        (EPYC | KERNELS, EPYC | KERNELS | {"onednn_isa": None}, False),  # its stdout was closed
        (EPYC, {"cpu": "AMD EPYC"}, False),  # an older record
        (EPYC | KERNELS | H100, EPYC | KERNELS | {"device": "cuda (NVIDIA A100)"}, True),
        (EPYC | KERNELS | H100, EPYC | KERNELS, True),  # two supernets, one on the GPU and one beside it
        (EPYC | KERNELS, EPYC | KERNELS | {"onednn_isa": "Intel SSE4.1"}, True),
        (EPYC | KERNELS, EPYC | KERNELS | {"cpu_capability": "AVX2"}, True),
        (EPYC, EPYC | {"cpu_model": 17}, True),
        (EPYC | KERNELS, {"cpu": "Another CPU"}, True),
    ],
)
def test_several_machines_are_warned_of_and_one_is_not(first, second, several):
    records, campaign = two_searchers()
    for record in records:
        record["environment"] = record["environment"] | (first if record["label"] == "gicso" else second)
    table = markup.readable_table(records, campaign)
    assert any("several machines" in text for text in table.warnings) is several


def test_rows_that_read_the_same_are_both_bold():
    records = [make_record(k, 0, v) for k, v in (("a", 93.001), ("b", 93.0), ("c", 92.9))]
    table = markup.readable_table(records, make_campaign(dict.fromkeys("abc", "one-shot"), [0]))
    assert [cells_of(table, m)["cifar10 test"].bold for m in "abc"] == [True, True, False]


def test_one_seed_has_no_spread_and_says_so():
    table = markup.readable_table([make_record("gicso", 0, 93.0)], make_campaign({"gicso": "one-shot"}, [0]))
    assert cells_of(table, "gicso")["cifar10 test"].text == "93.00"
    assert "n = 1: no ± and no test (gicso)." in table.footnotes


def test_failed_collapsed_and_missing_random_are_warned_of():
    records = [make_record("gicso", s, 93.0, collapsed=s < 2) for s in range(4)] + [failed("gicso", 4, "out\nof")]
    table = markup.readable_table(records, make_campaign({"gicso": "one-shot"}, list(range(5))))
    assert cells_of(table, "gicso")["n"].text == "4/5"
    assert any("gicso: 4 of 5 seeds: 1 failed (out)" in w for w in table.warnings)
    assert any("(collapsed, × in the dots): gicso 2 of 4 runs." in w for w in table.warnings)
    assert not any("disconnected" in w or "nearly equal" in w for w in table.warnings)
    assert any("No random searcher" in w for w in table.warnings)


def test_published_rows_are_marked_sourced_and_never_tested_or_bold():
    records, campaign = two_searchers()
    table = markup.readable_table(records, campaign, published=True)
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
    assert set(frames.comparisons(records, campaign)["b"]) == {"random"}
    other = markup.readable_table(records, campaign | {"benchmark": "digits201"}, published=True)
    assert other.groups[-1].title == "the space"


def test_imported_cells_join_as_a_group():
    records, campaign = two_searchers()
    clocks = dict.fromkeys(["search_seconds", "simulated_seconds", "evaluations"])
    records += [make_record("mine", s, 93.0, "imported", trajectory=[], **clocks) for s in range(2)]
    table = markup.readable_table(records, campaign)
    assert cells_of(table, "mine")["search s"].text == numbers.EMPTY
    assert cells_of(table, "mine")["n"].text == "2"
    assert "imported" in [g.title for g in table.groups]
    assert set(frames.comparisons(records, campaign)["b"]) == {"random", "mine"}


HOSTILE = "a|b*c_d`e<script>alert(1)</script>$x^2$&{\\input{/etc/passwd}}%#~"


def test_hostile_text_stays_text():
    records = [failed("gicso", 0, HOSTILE), *(make_record("gicso", s, 93.0, spec=HOSTILE) for s in (1, 2))]
    campaign = make_campaign({"gicso": "one-shot"}, [0, 1, 2])
    campaign["searchers"][0]["spec"] = HOSTILE
    table = markup.readable_table(records, campaign)
    markdown = markup.to_markdown(table)
    assert "<script>" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert bars == {len(table.headings) + 1}  # no row gained a cell
    latex = markup.to_latex(table)
    assert r"\textbackslash{}input\{/etc/passwd\}" in latex
    assert r"\input{" not in latex
    assert r"\$x\textasciicircum{}2\$\&" in latex
    assert not re.search(r"(?<!\\)[%#]", latex.replace(r"{\linewidth}{!}{%", ""))


def test_markdown_escapes_the_words_of_records_and_not_our_own_marks():
    records = [make_record("gicso", 0, 93.0), failed("gicso", 1, "no `x` in {a|b} [c](d) __e__")]
    markdown = markup.to_markdown(markup.readable_table(records, make_campaign({"gicso": "one-shot"}, [0, 1])))
    assert "- **Warning:** No random searcher in this campaign" in markdown
    assert (
        r"- **Warning:** gicso: 1 of 2 seeds: 1 failed (no \`x\` in {a\|b} [c]\(d) \_\_e\_\_); the rest is reported."
        in markdown
    )


def test_latex_is_a_booktabs_table_of_equal_rows():
    records, campaign = two_searchers()
    latex = markup.to_latex(markup.readable_table(records, campaign))
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){3-4}", r"\cmidrule(lr){7-8}"):
        assert word in latex
    assert r"\textbf{93.34 $\pm$ 0.88}" in latex
    assert r"\begin{tabular}{l" + "r" * 10 + "}" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn{11}" not in line]
    assert {line.replace(r"\&", "").count("&") for line in rows if not line.startswith(" & ")} == {10}
    assert latex.count("{") == latex.count("}")


def test_significance_is_marked_in_the_row_that_is_not_the_first():
    records = [make_record(k, s, v + s / 10) for k, v in {"a": 93.0, "b": 54.0, "c": 94.0}.items() for s in range(8)]
    table = markup.readable_table(records, make_campaign(dict.fromkeys("abc", "one-shot"), list(range(8))))
    assert cells_of(table, "a")["cifar10 test"].text == "93.35 ± 0.24"
    assert cells_of(table, "b")["cifar10 test"].text == "54.35 ± 0.24 ↓"
    assert cells_of(table, "c")["cifar10 test"].text == "94.35 ± 0.24 ↑"
    assert cells_of(table, "c")["cifar10 valid"].text == "92.35 ± 0.24"  # the validation columns are not tested
    assert r"\underline{93.35 $\pm$ 0.24}" in markup.to_latex(table)
    assert "*93.35 ± 0.24*" in markup.to_markdown(table)


def test_paired_comparisons_meet_at_the_same_seed():
    """a is 0.1 above b at every seed but in no order of its own: seen in pairs, lost without."""
    base = [90.0, 93.0, 91.0, 94.0, 92.0, 90.5, 93.5]
    records = [make_record("a", s, v + 0.1) for s, v in enumerate(base)]
    records += [make_record("b", s, v) for s, v in enumerate(base)] + [make_record("b", 9, 10.0)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(7)))
    paired = frames.comparisons(records, campaign, Asked(paired=True)).iloc[0]
    assert (paired["n_a"], paired["n_b"], paired["effect"], paired["test"]) == (7, 7, 1.0, inference.PAIRED)
    assert paired["p"] == pytest.approx(2 / 2**7)
    assert (paired["p_holm"], paired["verdict"]) == (pytest.approx(6 / 2**7), "better")
    assert frames.comparisons(records, campaign).iloc[0]["verdict"] == "not distinguishable"
    within = frames.comparisons(records, campaign, Asked(paired=True, margin=0.5)).iloc[0]
    assert within["verdict"] == "equivalent"


def test_imported_cells_are_never_paired_and_were_planned_by_nobody():
    records, campaign = two_searchers()
    records += [make_record("mine", s, 93.0 + s / 10, "imported", trajectory=[]) for s in range(2)]
    frame = frames.comparisons(records, campaign, Asked(paired=True)).set_index(["b", "dataset"])
    assert frame.loc[("random", "cifar10"), "test"] == inference.PAIRED
    assert frame.loc[("mine", "cifar10"), "test"] == inference.EXACT
    assert tuple(frame.loc[("mine", "cifar10"), ["n_a", "n_b"]]) == (5, 2)
    texts = markup.readable_table(records, campaign).footnotes
    assert f"Power: {power.power_note(5, 5, 6)}." in texts
    assert not any("With the runs there are" in note for note in texts)
    records = [r for r in records if (r["label"], r["seed"]) != ("random", 4)]
    texts = markup.readable_table(records, campaign).footnotes
    assert f"With the runs there are (fewest: random): {power.power_note(5, 4, 6)}." in texts


def test_imported_cells_are_no_blocks_of_the_ranks():
    """With the seeds of the runs they would be ranked as if paired, with others they would leave no common seed."""
    searchers = dict.fromkeys("abc", "one-shot")
    records = [make_record(k, s, 90.0 + s + i) for i, k in enumerate(searchers) for s in range(5)]
    campaign = make_campaign(searchers, list(range(5)))
    alone = frames.ranks_table(records, campaign)
    assert len(alone) == 9
    for seeds in (range(5), range(777, 780)):
        imported = [make_record("mine", s, 99.0, "imported", trajectory=[]) for s in seeds]
        assert frames.ranks_table(records + imported, campaign).equals(alone)


def test_the_power_of_pairs_counts_the_seeds_that_both_have():
    records = [make_record("a", s, 90.0 + s) for s in range(5, 15)] + [make_record("b", s, 91.0) for s in range(12, 22)]
    campaign = make_campaign(dict.fromkeys("ab", "one-shot"), list(range(5, 22)))
    texts = markup.readable_table(records, campaign, asked=Asked(paired=True)).footnotes
    assert f"With the runs there are (fewest: b): {power.power_note(3, 3, 3, paired=True)}." in texts


def test_ablations_are_tested_in_their_own_table_and_marked_in_the_main_one():
    """No p: 1 point lower at 12 seeds, better at none. darts, in the same folder, is tested as everybody is."""
    values = {"gicso": 93.0, "gicso-1": 92.0, "darts": 92.95}
    records = [make_record(k, s, v + s / 10) for k, v in values.items() for s in range(12)]
    campaign = make_campaign(dict.fromkeys(values, "one-shot"), list(range(12)))
    campaign["ablations"] = {"of": "gicso", "rows": {"gicso-1": "no p"}}
    assert set(frames.comparisons(records, campaign)["b"]) == {"darts"}
    table = markup.readable_table(records, campaign)
    assert cells_of(table, "gicso-1")["cifar10 test"].text.endswith(" ↓")
    assert not cells_of(table, "darts")["cifar10 test"].text.endswith(("↑", "↓"))
    assert any(", for ablations gicso (signed ranks" in note for note in table.footnotes)
    assert f"Power: {power.power_note(12, 12, 3)}." in table.footnotes
    alone = [r for r in records if r["label"] != "darts"]
    campaign["searchers"] = [s for s in campaign["searchers"] if s["label"] != "darts"]
    table = markup.readable_table(alone, campaign)
    assert f"Power: {power.power_note(12, 12, 3, paired=True)}." in table.footnotes
    assert table.warnings == []  # no random searcher is missed


def test_a_row_that_is_not_complete_is_not_the_best():
    records = [make_record("a", s, 93.0) for s in range(3)] + [make_record("b", 0, 94.0)]
    table = markup.readable_table(records, make_campaign(dict.fromkeys("ab", "one-shot"), [0, 1, 2]))
    assert cells_of(table, "a")["cifar10 test"].bold
    assert cells_of(table, "b")["cifar10 test"] == markup.Cell("94.00")


CHANCE = [{"at_chance": True}, {"one_shot": {"losses": [2.0, math.nan], "spearman": None, "spearman_good": None}}]


@pytest.mark.parametrize("sign", CHANCE)
def test_a_row_with_a_supernet_at_chance_is_warned_of_and_not_the_best(sign):
    """Records of older versions say it by losses that are NaN."""
    records = [make_record(name, s, v) for name, v in (("a", 94.0), ("b", 93.0), ("c", 92.0)) for s in range(2)]
    records[1] |= sign
    campaign = make_campaign(dict.fromkeys("abc", "one-shot"), [0, 1])
    table = markup.readable_table(records, campaign)
    assert [cells_of(table, m)["cifar10 test"].bold for m in "abc"] == [False, True, False]
    assert [cells_of(table, m)["cifar10 test"].second for m in "abc"] == [False, False, True]
    assert any(re.match(r"The supernet ended at chance, .*: a 1 of 2 runs; what", w) for w in table.warnings)
    assert frames.runs_table(records, campaign)["at_chance"].tolist() == [False, True, False, False, False, False]
    assert frames.diagnostics(records, campaign)["at_chance"].tolist() == [1, 0, 0]
    records[1]["status"] = "failed"
    assert "at chance" not in " ".join(markup.readable_table(records, campaign).warnings)


def test_how_each_searcher_chose_its_cell_is_said_where_the_campaign_says_it():
    names = ["darts", "darts-0", "cso", "cso-1", "random", "imp"]
    campaign = make_campaign(dict.fromkeys(names, "one-shot") | {"imp": "imported"}, [0])
    records = [make_record(name, 0, 93.0) for name in names]
    texts = markup.readable_table(records, campaign).footnotes
    assert "The answered cell is that of the last step (darts, cso, random)." in texts
    for k, row in enumerate(campaign["searchers"][:5]):
        row["answer_rule"] = "the arg-max" if k < 3 else "the best"
    texts = markup.readable_table(records, campaign).footnotes
    assert "The answered cell is the arg-max (darts, cso); the best (cso-1, random)." in texts
    alone = markup.readable_table(records[-1:], campaign | {"searchers": campaign["searchers"][-1:]}).footnotes
    assert "answered cell" not in " ".join(alone)
    assert "batch statistics" not in " ".join(alone)


def test_nearly_equal_alphas_and_disconnected_answers_are_warned_of():
    changes = [{"alpha_entropy": 0.9996, "alpha_change": 0.05}, {"alpha_entropy": 0.9, "disconnected": True}]
    records = [make_record("darts", s, 93.0, **change) for s, change in enumerate(changes)]
    text = " ".join(markup.readable_table(records, make_campaign({"darts": "one-shot"}, [0, 1])).warnings)
    assert "ended nearly equal (softmax entropy above 0.999 of 1): darts 1 of 2 runs;" in text
    assert "depends on no input (disconnected): darts 1 of 2 runs." in text


def test_ranks_are_over_the_seeds_that_all_have():
    values = {"a": [93.0, 94.0, 92.0], "b": [92.0, 93.0, 92.0], "c": [91.0, 94.0, 90.0]}
    records = [make_record(k, s, v) for k, found in values.items() for s, v in enumerate(found)]
    records.append(make_record("a", 7, 10.0))
    records += [failed("d", s, "boom") for s in range(3)]  # who never finished is not ranked
    campaign = make_campaign(dict.fromkeys("abcd", "one-shot"), [0, 1, 2, 7])
    ranked, found = frames.rank_tests(records, campaign)
    ranks = found["cifar10"]
    assert ([s["label"] for s in ranked], ranks.blocks) == (["a", "b", "c"], 3)
    # seed 0: 1 2 3; seed 1: a and c share 1 and 2; seed 2: a and b share 1 and 2
    np.testing.assert_allclose(ranks.mean, [(1 + 1.5 + 1.5) / 3, (2 + 3 + 1.5) / 3, (3 + 1.5 + 3) / 3])


def test_published_rows_cite_entries_that_there_are():
    known = set(re.findall(r"^@\w+\{([^,]+),", bibliography(), re.MULTILINE))
    cited = {row["bibkey"] for row in published()} - {""}
    assert cited <= known
    assert known - cited == {"dong2021natsbench"}
    latex = markup.to_latex(markup.readable_table(*two_searchers(), published=True))
    assert r"~\cite{liu2019darts} & 3 &" in latex


def test_runs_table_has_a_row_a_run():
    records = [make_record("a", 3, 93.0), failed("a", 4, "boom")]
    first, second = frames.to_csv(frames.runs_table(records, make_campaign({"a": "one-shot"}, [3, 4]))).splitlines()[1:]
    assert first.startswith("a,a,a,one-shot,3,done,9930,|nor_conv_3x3~0|")
    assert first.endswith(",91,93,71,73,44,46")
    assert second.startswith("a,a,a,one-shot,4,failed,,")
    assert second.endswith(",,,,,,")
