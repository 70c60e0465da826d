"""The unpickler that builds numbers and arrays only: what it reads, and what it refuses."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import numpy as np
import pytest

from benchmarks import safe_pickle
from benchmarks.errors import UserError


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_and_scalars_are_read(protocol: int) -> None:
    grid = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    said = safe_pickle.loads(pickle.dumps({"data": grid, "x": np.float64(1.5), "b": b"\xff"}, protocol), "batch")
    np.testing.assert_array_equal(said["data"], grid)
    assert (said["x"], said["b"]) == (1.5, b"\xff")


def test_python_2_batches_are_read() -> None:
    """As cPickle of Python 2 wrote the CIFAR batches: byte strings, numpy.core names."""
    data = b"(dp1\nS'labels'\np2\n(lp3\nI6\naI9\nas."
    assert safe_pickle.loads(data, "batch", encoding="bytes") == {b"labels": [6, 9]}
    assert safe_pickle.loads(data, "batch", encoding="latin1") == {"labels": [6, 9]}


def test_every_cut_and_most_flips_are_user_errors() -> None:
    whole = pickle.dumps(OrderedDict(a=np.float64(2.5), b=[1, "x", np.arange(3)]), 4)
    assert list(safe_pickle.loads(whole, "f")) == ["a", "b"]
    for length in range(len(whole)):
        with pytest.raises(UserError, match=r"^f: "):
            safe_pickle.loads(whole[:length], "f")
    refused = 0
    for place in range(len(whole)):
        damaged = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        try:
            safe_pickle.loads(damaged, "f")
        except UserError:
            refused += 1
    assert refused > len(whole) / 2


def built(module: bytes, name: bytes, state: bytes) -> bytes:
    """A pickle, protocol 2, that names something and gives it a state."""
    return b"\x80\x02c" + module + b"\n" + name + b"\n" + state + b"b."


def test_a_pickle_cannot_alter_the_reader() -> None:
    """BUILD with a state of slots sets attributes, so also a plain function's defaults."""
    slots = b"N}X\x0c\0\0\0__defaults__X\x01\0\0\0a\x85s\x86"
    numpy = b"numpy.core.multiarray"
    for module, name in ((numpy, b"scalar"), (numpy, b"_reconstruct"), (b"_codecs", b"encode")):
        with pytest.raises(UserError, match="a function with attributes"):
            safe_pickle.loads(built(module, name, slots), "f")
    assert safe_pickle.loads(pickle.dumps(np.float64(2.5), 2), "f") == 2.5


@pytest.mark.parametrize("state", [(3, "<", None, None, None, -1, -1, 4), (3, "<", ("i4", 2), None, None, -1, -1, 0)])
def test_a_numpy_type_with_flags_or_parts_is_no_number(state: tuple) -> None:
    """numpy's own dtype, which `--verify` lets read the same file, believes the flags: bytes would pass as pointers."""
    dtype = b"\x80\x02cnumpy\ndtype\nX\x02\0\0\0i8K\0K\x01\x87R" + pickle.dumps(state, 2)[2:-1] + b"b."
    with pytest.raises(UserError, match="parts or flags"):
        safe_pickle.loads(dtype, "f")


def test_only_numbers_are_built() -> None:
    for array in (np.array([{}], dtype=object), np.zeros(2, "i4,i4"), np.array(["x"])):
        with pytest.raises(UserError, match="not a number"):
            safe_pickle.loads(pickle.dumps(array, 4), "f")
    flags = b"\x80\x04cnumpy\ndtype\n(X\x01\0\0\0OK\0K\x01tR."
    with pytest.raises(UserError, match="not a number"):
        safe_pickle.loads(flags, "f")
    short = pickle.dumps(np.arange(4, dtype=np.uint8), 4).replace(b"K\x04\x85", b"K\x09\x85")
    with pytest.raises(UserError, match="not a readable pickle"):
        safe_pickle.loads(short, "f")
    big = safe_pickle.loads(pickle.dumps(np.arange(3, dtype=">i4"), 4), "f")
    assert type(big) is np.ndarray
    assert big.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cos\nsystem\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x08load.txt\x93.",
        b"cnumpy\nload\n.",
        b"ccollections\ndefaultdict\n.",
        b"c_codecs\nencode\n(S'x'\nS'idna'\ntR.",
        b"(S'/etc/passwd'\nibuiltins\nopen\n.",
    ],
)
def test_other_names_are_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"^f: (refused, the pickle names|not a readable pickle)"):
        safe_pickle.loads(data, "f")
