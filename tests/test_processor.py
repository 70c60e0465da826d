"""What the processor's flags say, and what is said of them."""

import pytest

from benchmarks import base
from harness import conduct, perf


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
    assert base.has_bf16(flags) is has


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("model name\t: X\nflags\t\t: avx2 avx512_bf16\nbugs\t\t: spectre\n", True),
        ("flags\t\t: avx2\n", False),
        ("Features\t: fp asimd bf16\n", True),
        ("processor\t: 0\nisa\t: rv64imafdc\n", None),
        (OSError("no such file"), None),
    ],
)
def test_this_machine_s_flags(monkeypatch, text, has):
    def read(*arguments, **more):
        if isinstance(text, OSError):
            raise text
        return text

    monkeypatch.setattr(base.Path, "read_text", read)
    assert base.cpu_has_bf16() is has


@pytest.mark.parametrize(
    ("precision", "searchers", "has", "said"),
    [
        ("bf16", "darts", False, True),
        ("bf16", "darts", True, False),
        ("bf16", "darts", None, False),
        ("fp32", "darts", False, False),
        ("bf16", "random", False, False),  # no supernet, so nothing in bf16
    ],
)
def test_bf16_without_such_instructions_is_said_before_the_campaign(
    harness, monkeypatch, tmp_path, precision, searchers, has, said
):
    monkeypatch.setattr(conduct, "cpu_has_bf16", lambda: has)

    def stop(*arguments):
        raise conduct.UserError("work begins")

    monkeypatch.setattr(conduct, "prepare", stop)
    arguments = ["--searchers", searchers, "--seeds", 1, "--device", "cpu", "--precision", precision]
    code, _, err = harness("run", "--benchmark", "digits201", "--preset", "smoke", *arguments, "--out", tmp_path)
    assert (code, err.splitlines()[-1]) == (2, "error: work begins")
    assert ("has no bf16 instructions: searches take several times as long" in err) is said


def test_perf_names_it():
    result = {"environment": {"cpu": "X", "device": "cpu", "torch": "2", "git": ""}, "threads": 1, "rounds": 1,
              "supernet": [], "ceilings": {}, "peak memory, MB": 1}  # fmt: skip
    for has, text in ((True, "X (bf16 instructions), cpu"), (False, "X (no bf16 instructions), cpu"), (None, "X, cpu")):
        assert perf.to_text(result | {"bf16 instructions": has}).startswith(text)
    assert perf.to_text(result).startswith("X, cpu")  # an older perf.json
