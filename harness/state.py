"""A searcher's state as a checkpoint can hold it, and back.

A checkpoint is read with torch.load(weights_only=True), which executes nothing and knows few types. Other simple types
are converted to these. Their paths and types are stored too, so that a searcher gets back what it gave.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from benchmarks.errors import UserError

Path = tuple[Any, ...]  # the keys and positions that lead to a value
Types = dict[Path, tuple[Any, ...]]  # what a value was: its kind, and what else is needed to make it again
PLAIN = (type(None), bool, int, float, complex, str)
NUMPY = "biufcSUmM"  # kinds of dtype that bytes hold wholly: no objects, no records
ALLOWED = "tensors, numpy's arrays and numbers, numbers, strings, None, and lists, tuples, sets, deques, dicts of these"


def plain(value: Any) -> tuple[Any, Types]:
    """A searcher's `state_dict()` in types that a checkpoint can hold, and what `restored` needs to undo that.

    UserError naming the key of what cannot be kept.
    """
    if not isinstance(value, dict):
        raise UserError(f"state_dict() gave {_named(value)}; a checkpoint needs a dict")
    types: Types = {}
    try:
        return _plain(value, (), types), types
    except RecursionError:
        raise UserError("state_dict() is nested too deep for a checkpoint, or holds itself") from None


def _plain(value: Any, path: Path, types: Types) -> Any:
    kind = type(value)
    if kind in PLAIN or _is_tensor(value):
        return value
    if kind is bytes:
        types[path] = ("bytes",)
        return value.decode("latin-1")  # torch.load does not read empty bytes
    if kind is np.ndarray and value.dtype.kind in NUMPY:
        types[path] = ("array", value.dtype.str, value.shape)
        return value.tobytes().decode("latin-1")
    if isinstance(value, np.generic) and value.dtype.kind in NUMPY:
        types[path] = ("number", value.dtype.str)
        return value.tobytes().decode("latin-1")
    if kind in (list, tuple, deque):
        items = [_plain(item, (*path, k), types) for k, item in enumerate(value)]
        if kind is deque:
            types[path] = ("deque", value.maxlen)
            return items
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else kind(items)
    if kind in (set, frozenset):
        types[path] = (kind.__name__,)
        return [_key(item, path) for item in value]
    if kind in (dict, OrderedDict):
        keys = {_key(key, path): key for key in value}
        entries = {key: _plain(value[old], (*path, key), types) for key, old in keys.items()}
        if all(key is old and entries[key] is value[old] for key, old in keys.items()):
            return value
        new_dict = copy(value)  # keeps attributes, which a module's state_dict has
        new_dict.clear()
        new_dict.update(entries)
        return new_dict
    raise UserError(f"{_where(path)} is {_named(value)}, which a checkpoint cannot hold; it holds {ALLOWED}")


def _key(value: Any, path: Path) -> Any:
    """A key of a dict or member of a set; numpy's number as Python's, which is equal and found in its place."""
    if isinstance(value, np.generic) and type(value.item()) in PLAIN:
        return value.item()
    if type(value) is tuple:
        items = [_key(item, path) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else tuple(items)
    if type(value) in PLAIN:
        return value
    needed = "there a checkpoint holds numbers, strings and tuples of these"
    raise UserError(f"{_where(path)} has a key or member that is {_named(value)}; {needed}")


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # if torch is not loaded, there is no tensor
    return torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter)


def _where(path: Path) -> str:
    return "state_dict()" + "".join(f"[{key!r}]" for key in path)


def _named(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"an array of {value.dtype}" if kind is np.ndarray else f"a {name}"


def restored(value: Any, types: Types, path: Path = ()) -> Any:
    """The value that was given to `plain`, from the two that it returned; changes `value` in place."""
    if not types:
        return value
    if type(value) in (dict, OrderedDict):
        for key in value:
            value[key] = restored(value[key], types, (*path, key))
    elif type(value) in (list, tuple):
        value = type(value)(restored(item, types, (*path, k)) for k, item in enumerate(value))
    if path not in types:
        return value
    kind, *more = types[path]
    return MAKE[kind](value, *more)


def _array(text: str, dtype: str) -> np.ndarray:
    """A one-dimensional array with memory of its own."""
    return np.frombuffer(bytearray(text, "latin-1"), dtype)


MAKE: dict[str, Callable[..., Any]] = {
    "bytes": lambda text: text.encode("latin-1"),
    "array": lambda text, dtype, shape: _array(text, dtype).reshape(shape),
    "number": lambda text, dtype: _array(text, dtype)[0],
    "deque": deque,
    "set": set,
    "frozenset": frozenset,
}
