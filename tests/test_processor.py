"""What a record says of the processor: its own words, and the kernels that the libraries really use."""

import json
import os
import platform
import subprocess
import sys

import pytest

from benchmarks import processor

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
flags\t\t: fpu avx2 avx512_bf16

processor\t: 1
cpu family\t: 25
"""


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """A machine whose /proc/cpuinfo is a file of ours; call it with the text."""
    monkeypatch.setattr(processor, "Path", lambda path: tmp_path / "cpuinfo")
    processor.cpuinfo.cache_clear()
    yield lambda text: (tmp_path / "cpuinfo").write_text(text)
    processor.cpuinfo.cache_clear()


def test_family_and_model_are_the_first_processors(linux):
    linux(CPUINFO)
    assert processor.cpu_name() == "AMD EPYC"
    assert processor.family_and_model() == {"cpu_family": 26, "cpu_model": 2}


@pytest.mark.parametrize("text", ["", "model name\t: X\nmodel\t: unknown\n\n"])
def test_a_system_that_does_not_say_leaves_them_empty(linux, text):
    linux(text)
    assert processor.family_and_model() == {"cpu_family": None, "cpu_model": None}


def kernels(**environment):
    """What another process finds under these variables; whatever else it prints is kept apart."""
    code = "import json; from benchmarks import processor; print('before'); print(json.dumps(processor.kernels()))"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True)
    first, last = done.stdout.splitlines()  # nothing of what oneDNN says comes through
    assert first == "before"
    return json.loads(last)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86's instruction sets")
def test_kernels_are_those_in_use_and_not_those_that_the_processor_has():
    assert kernels(ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41") == {
        "cpu_capability": "DEFAULT",
        "onednn_isa": "Intel SSE4.1",
    }


def test_words_leave_out_what_an_environment_does_not_know():
    full = {"cpu": "AMD EPYC", "cpu_family": 26, "cpu_model": 2, "cpu_capability": "AVX2", "onednn_isa": None}
    assert processor.processor_in_words(full) == "AMD EPYC (family 26 model 2)"
    assert processor.kernels_in_words(full) == "ATen AVX2, oneDNN unknown"
    assert processor.processor_in_words({"cpu": "AMD EPYC"}) == "AMD EPYC"
    assert processor.kernels_in_words({"cpu": "AMD EPYC", "cpu_family": 26}) == ""
