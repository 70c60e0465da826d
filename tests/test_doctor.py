"""What is checked on this machine, and what is found missing."""

import re
from functools import lru_cache
from pathlib import Path

from benchmarks.digits201 import build

HERE = Path(__file__).parent


def test_doctor(harness, table, cifar10_root, monkeypatch):
    monkeypatch.setattr(build, "count_right", lru_cache(build.count_right))  # once for both
    code, out, _ = harness("doctor", "--table", table, "--data", cifar10_root)
    assert code == 0
    assert "BAD" not in out
    assert out.count("trained again") == 3
    assert re.search(r"^ok   processor: .+, .*(bf16 instructions|unknown flags)", out, re.MULTILINE)
    assert "802,426 parameters, 113,951,370 FLOPs; the table says the same" in out
    code, out, _ = harness("doctor", "--table", table, "--data", HERE)
    assert code == 1
    assert "BAD" in out
    monkeypatch.setenv("HARNESS_DATA", str(HERE))
    code, out, _ = harness("doctor", "--table", table)  # for queries no images are needed
    assert (code, "ok   cifar10: " in out) == (0, True)
