"""A first share of the mutated inputs of tests/faults/fuzz.py, in this process: each gives a value or a UserError."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.base import UserError

sys.path.append(str(Path(__file__).parent / "faults"))

import fuzz

SLOW = ("table (CSV, gzip)", "NATS-Bench file", "NATS-Bench cell")  # seconds for few inputs: the command does them


@pytest.mark.parametrize("name", [name for name in fuzz.READERS if name not in SLOW])
def test_mutated_input_gives_a_value_or_a_clean_error(name, tmp_path):
    reader = fuzz.READERS[name]
    seeds = reader.seeds()
    for data in seeds:
        reader.read(data, tmp_path)
    refused = 0
    for number in range(60):
        data = fuzz.input_of(name, seeds, number, seed=1)
        try:
            reader.read(data, tmp_path)
        except UserError as error:
            refused += 1
            assert len(str(error)) <= 1500  # noqa: PT017 - not all raise
    assert refused > 10


@pytest.mark.parametrize(
    "pickle",
    [
        b"\x80\x04r\xff\xff\xff\x7f.",  # puts something at place 2^31 of the memo
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",  # a bytearray of 1 TB
    ],
)
def test_a_few_bytes_cannot_ask_for_all_memory(pickle):
    from benchmarks import safe_pickle

    with pytest.raises(UserError, match=r"memory|truncated or damaged"):
        safe_pickle.loads(pickle, "f")
