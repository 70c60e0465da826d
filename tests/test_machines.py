"""Where runs were made, and by which code."""

from __future__ import annotations

from typing import Any

import pytest
from support.campaigns import make_record, results_of, two_searchers, typed

from harness.report import machines, readable

EPYC = {"cpu": "AMD EPYC", "cpu_family": 26, "cpu_model": 2}
KERNELS = {"cpu_capability": "AVX512", "onednn_isa": "Intel AVX-512"}
H100 = {"device": "cuda (NVIDIA H100)"}


def test_processors_of_one_name_are_told_apart_by_model_and_kernels():
    kernels = {"cpu_capability": "AVX2", "onednn_isa": "Intel AVX2"}
    assert hardware_of(EPYC, EPYC | {"cpu_model": 17}) == [
        "cpu, AMD EPYC (family 26 model 17), torch 2.13.0",
        "cpu, AMD EPYC (family 26 model 2), torch 2.13.0",
    ]
    assert hardware_of(EPYC | kernels, EPYC | kernels | {"onednn_isa": "Intel SSE4.1"}) == [
        "cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel AVX2, torch 2.13.0",
        "cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel SSE4.1, torch 2.13.0",
    ]


def test_runs_made_without_torch_are_of_no_other_machine():
    kernels = {"cpu_capability": "AVX2", "onednn_isa": "Intel AVX2"}
    expected = ["cpu, AMD EPYC (family 26 model 2), ATen AVX2, oneDNN Intel AVX2, torch 2.13.0"]
    assert hardware_of(EPYC | kernels, EPYC) == expected


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


def test_reports_name_the_packages_and_warn_of_several_versions():
    def record(source, version="1.0"):
        environment = {"harness": "0.1.0", "git": "abc", "plugin": f"my-package {version}", "plugin_source": source}
        return make_record("a", 0, 93.0, environment=environment)

    assert machines.revisions(typed([record("aaa")])) == ["abc", "my-package 1.0 (source aaa)"]
    assert machines.by_package(typed([record("aaa"), record("bbb", "1.1")])) == {
        "the program": ["abc"],
        "my-package": ["my-package 1.0 (source aaa)", "my-package 1.1 (source bbb)"],
    }


def hardware_of(*changes: dict[str, Any]) -> list[str]:
    """The machines that a table names whose runs were made in environments with these changes."""
    records, _ = two_searchers()
    for record, change in zip(records, changes, strict=False):
        record["environment"] = record["environment"] | change
    return machines.hardware(typed(records[: len(changes)]))
