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


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), OSError(28, "No space left on device")])
def test_without_a_standard_output_what_onednn_says_is_unknown(monkeypatch, error):
    def dup(descriptor):
        raise error

    monkeypatch.setattr(processor.os, "dup", dup)
    monkeypatch.setattr(processor.sys, "stdout", None)
    assert processor._onednn_isa() is None


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


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        (" fpu vme sse4_2 avx2 avx512f avx512_bf16 clzero", True),  # AMD Zen 4
        (" avx512f avx512_vnni amx_bf16 amx_tile amx_int8", True),  # Intel Sapphire Rapids
        (" fp asimd sve bf16 i8mm", True),  # Arm Neoverse V1
        (" fpu sse4_2 avx2 avx512f avx512dq avx512_vnni", False),  # Intel Cascade Lake
        (" fpu vme sse4_2 avx2 fma", False),  # AMD Zen 2
        (" fp asimd svebf16", False),  # another word
        ("", False),
    ],
)
def test_bf16_instructions_are_read_from_the_flags(flags, has):
    assert processor.has_bf16(flags) is has


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("model name\t: X\nflags\t\t: avx2 avx512_bf16\nbugs\t\t: spectre\n", True),
        ("flags\t\t: avx2\n", False),
        ("Features\t: fp asimd bf16\n", True),
        ("processor\t: 0\nisa\t: rv64imafdc\n", None),
        (None, None),
    ],
)
def test_this_machine_s_flags(linux, text, has):
    if text is not None:  # else there is no such file
        linux(text)
    assert processor.cpu_has_bf16() is has
