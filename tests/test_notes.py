"""What stands above and below a table: revisions, machines, how answers were chosen, warnings."""

from __future__ import annotations

from typing import Any

import pytest
from support.campaigns import failed, make_campaign, make_record, results_of, two_searchers, typed
from support.tables import cells_of

from harness.report import markup, notes, power
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


EPYC = {"cpu": "AMD EPYC", "cpu_family": 26, "cpu_model": 2}


def machines(*changes: dict[str, Any]) -> list[str]:
    """The machines that a table names whose runs were made in environments with these changes."""
    records, _ = two_searchers()
    for record, change in zip(records, changes, strict=False):
        record["environment"] = record["environment"] | change
    return machines.hardware(typed(records[: len(changes)]))


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
    table = readable.readable_table(results_of(records, campaign))
    assert any("several machines" in text for text in table.warnings) is several


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
    assert f"With the runs there are (fewest: b): {power.power_note(3, 3, 3, paired=True)}." in texts


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


def test_reports_name_the_packages_and_warn_of_several_versions():
    def record(source, version="1.0"):
        environment = {"harness": "0.1.0", "git": "abc", "plugin": f"my-package {version}", "plugin_source": source}
        return make_record("a", 0, 93.0, environment=environment)

    assert machines.revisions(typed([record("aaa")])) == ["abc", "my-package 1.0 (source aaa)"]
    assert machines.by_package(typed([record("aaa"), record("bbb", "1.1")])) == {
        "the program": ["abc"],
        "my-package": ["my-package 1.0 (source aaa)", "my-package 1.1 (source bbb)"],
    }
