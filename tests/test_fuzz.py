"""A first share of the mutated inputs of tests/faults/fuzz.py, in this process: each gives a value or a UserError."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.errors import UserError

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


def nested(levels, start=b")"):
    """A pickle of nested pairs that share their halves: 2 bytes a level, text of twice the length for each."""
    return b"\x80\x04" + start + b"2\x86" * levels


@pytest.mark.parametrize(
    "hostile",
    [
        nested(60) + b".",  # itself, where an archive is expected
        b"\x80\x04cnumpy\ndtype\n" + nested(60)[2:] + b"\x85R.",  # as the name of a numpy type
        b"\x80\x04c_codecs\nencode\nX\x01\0\0\0a" + nested(60)[2:] + b"\x86R.",  # as a codec
    ],
)
def test_values_whose_text_has_no_end_are_not_quoted(hostile):
    from benchmarks import safe_pickle
    from benchmarks.nb201 import archives

    with pytest.raises(UserError):
        archives.check_meta(safe_pickle.loads(hostile, "f"), "f")


def test_attributes_of_a_dictionary_do_not_take_the_place_of_its_methods():
    from benchmarks import safe_pickle

    with pytest.raises(UserError, match="a dictionary with attributes"):
        safe_pickle.loads(b"\x80\x04ccollections\nOrderedDict\n)R}X\x03\0\0\0getNsb.", "f")


def test_architecture_strings_and_protocols_of_any_kind_are_named_shortly(tmp_path):
    from benchmarks.errors import quoted
    from benchmarks.nb201.file_check import check_order, official_strings

    deep = ()
    for _ in range(60):
        deep = (deep, deep)
    assert quoted(deep) == "<tuple>"
    assert quoted("x" * 1000) == repr("x" * 200)
    assert quoted(10**5000) == "<int>"
    with pytest.raises(UserError, match="row 0 is <tuple>"):
        check_order((deep, *official_strings()[1:]), "f")


def test_a_name_of_hundreds_of_megabytes_in_a_tar_is_refused(tmp_path):
    """Packed it has a few hundred kilobytes."""
    import gzip
    import tarfile

    from benchmarks.nb201 import archives

    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(header.tobuf())
        for _ in range(300):
            file.write(b"a" * 2**20)
    with pytest.raises(UserError, match="takes more than 64 MB"):
        list(archives.tar_files(tmp_path / "a.tar.gz"))


def test_a_checkpoint_cannot_ask_for_all_memory(tmp_path):
    """torch's own reader allows a bytearray of any length."""
    import zipfile
    from hashlib import sha256

    from harness import store

    store.write_bytes(tmp_path / "good.pt", store.checkpoint_bytes({"a": 1}))
    bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + (2**40).to_bytes(6, "little") + b"\x85R."
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "bad.pt", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, bomb if name.endswith("/data.pkl") else good.read(name))
    data = (tmp_path / "bad.pt").read_bytes()
    (tmp_path / "bad.pt").write_bytes(data + sha256(data).digest())
    with pytest.raises((UserError, MemoryError)):
        store.read_checkpoint(tmp_path / "bad.pt")
