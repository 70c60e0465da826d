"""Read other people's pickles without running their code: only listed names can be built.

The official archives and image batches are pickles. A plain `pickle.load` of a downloaded file runs whatever
it says; here a file can name nothing but ordered dictionaries and numpy's own numbers and arrays.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from benchmarks.errors import UserError, quoted
from benchmarks.files import bounded_memory


class _Call:
    """A function in a shape that nothing in a pickle can alter: its defaults are attributes, and BUILD sets those."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a function with attributes")


@_Call
def _encode(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode` as pickle protocol 2 uses it for bytes; any other codec is refused."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"codec {quoted(encoding)}")
    return text.encode("latin1")


class _DType:
    """Stands for `numpy.dtype`, numbers only.

    The real one takes flags from the pickle, with which a hostile file could pass bytes off as pointers.
    """

    __slots__ = ("real",)

    def __init__(self, code: str | bytes, *_: Any) -> None:
        if not isinstance(code, (str, bytes)):
            raise TypeError(f"{quoted(code)} where the name of a numpy type is expected")
        self._set(np.dtype(code.decode("ascii") if isinstance(code, bytes) else code))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, order, base, names, fields, size, alignment, flags): numbers have neither parts nor flags, and the
        # official API, which `--verify` lets read the same file, would believe them.
        if any(part is not None for part in state[2:5]) or any(state[7:]):
            raise ValueError("a numpy type with parts or flags, not a number")
        order: Any = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self._set(self.real.newbyteorder(order))

    def _set(self, real: np.dtype[Any]) -> None:
        if real.kind not in "biufc":
            raise ValueError(f"numpy type {real}, not a number")
        self.real = real


class _OrderedDict(OrderedDict):
    """Stands for `collections.OrderedDict`, items only: attributes from a pickle could take its methods' places."""

    def __setstate__(self, state: Any) -> None:
        if state:
            raise ValueError("a dictionary with attributes")


class _Array(np.ndarray):
    """An array being built: takes shape, type and contents from the pickle, checked."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        safe_state: Any = (1, shape, _real(dtype), bool(fortran), _bytes(data))
        super().__setstate__(safe_state)


_NDARRAY = "numpy.ndarray"  # only named, never called: `_reconstruct` is given it


@_Call
def _reconstruct(_array: Any, _shape: Any, _code: Any) -> _Array:
    return _Array(0, dtype=np.uint8)


@_Call
def _scalar(dtype: Any, data: Any) -> Any:
    real = _real(dtype)
    (value,) = np.frombuffer(_bytes(data), dtype=real)
    return value


def _real(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, _DType):
        raise TypeError(f"{quoted(dtype)} where a numpy type is expected")
    return dtype.real


def _bytes(data: Any) -> bytes:
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))


#: What the NAS-Bench-201 and NATS-Bench archives name, written under numpy 1 (`core`) and numpy 2 (`_core`).
ARCHIVE: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _OrderedDict,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
}
#: What pickled numpy arrays name in addition; CIFAR and ImageNet16 batches are such.
ARRAYS: Mapping[tuple[str, str], Any] = {
    **ARCHIVE,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], what: str, encoding: str, allowed: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding=encoding)
        self._what = what
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise UserError(
                f"{self._what}: refused, the pickle names {module}.{name}, which such a file does not need; "
                "it is not an official file or was tampered with"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UserError(f"{self._what}: refused, it holds network weights; use the file without them")


def load(
    file: IO[bytes],
    what: str,
    encoding: str = "ASCII",
    allowed: Mapping[tuple[str, str], Any] = ARRAYS,
    megabytes: int = 512,
) -> Any:
    """The next object of a binary file of pickles; the file is left just after it.

    Numpy arrays and numbers are read, other numpy types are not (pickle protocols up to 4).
    `what` names the file in errors; `encoding` is `pickle`'s, for files written by Python 2 ("bytes",
    "latin1"); reading may take so many megabytes. Raises UserError for a name that is not in `allowed`, for what is
    not a whole pickle, and for one that takes more memory.
    """
    try:
        with bounded_memory(megabytes):
            return _plain(_Unpickler(file, what, encoding, allowed).load())
    except UserError:
        raise
    except MemoryError:
        raise UserError(
            f"{what}: takes more than {megabytes:,} MB of memory; damaged, or not an official file"
        ) from None
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        reason = str(error) or type(error).__name__
        raise UserError(f"{what}: not a readable pickle, truncated or damaged ({reason})") from None


def _plain(value: Any) -> Any:
    """Arrays, alone or in a dict, as numpy's own class."""
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if type(value) is dict:
        for key, item in value.items():
            if isinstance(item, _Array):
                value[key] = item.view(np.ndarray)
    return value


def loads(
    data: bytes,
    what: str,
    encoding: str = "ASCII",
    allowed: Mapping[tuple[str, str], Any] = ARRAYS,
) -> Any:
    """`load` from bytes."""
    return load(io.BytesIO(data), what, encoding, allowed, 512 + (8 * len(data) >> 20))
