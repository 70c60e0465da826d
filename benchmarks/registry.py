"""The benchmarks by name: ours, and those of other installed packages (entry-point group `harness.benchmarks`).

Only this module names them. An entry is "module:ATTRIBUTE", a `benchmarks.base.Entry`; a module is imported when its
benchmark is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from benchmarks.base import Entry
from benchmarks.errors import UserError, suggestion

BENCHMARKS: dict[str, str] = {
    "nb201": "benchmarks.nb201.benchmark:ENTRY",
    "digits201": "benchmarks.digits201.benchmark:ENTRY",
    "darts": "benchmarks.darts.benchmark:ENTRY",
}


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {e.name: e.value for e in entry_points(group="harness.benchmarks")}


def names() -> list[str]:
    """All benchmarks, ours first."""
    return [*BENCHMARKS, *(name for name in _entry_points() if name not in BENCHMARKS)]


def find(name: str) -> Entry:
    """A benchmark's entry; UserError with the valid names for an unknown one, and where a package's is broken."""
    target = BENCHMARKS.get(name) or _entry_points().get(name)
    if target is None:
        raise UserError(f"unknown benchmark {name!r}{suggestion(name, names())}")
    module, _, attribute = target.partition(":")
    try:
        entry = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"benchmark {name!r} of {target}: {type(error).__name__}: {error}") from None
    if not isinstance(entry, Entry) or entry.name != name:
        raise UserError(f"benchmark {name!r}: {target} is no benchmarks.base.Entry of that name")
    return entry


def choose(table: Path | None, places: Sequence[Path], dataset: str | None, images: bool) -> tuple[str, str]:
    """The benchmark that `--benchmark auto` means here, and why: nb201 where the images that it needs are.

    `dataset`: what is to be searched on, if anything was said; `images`: whether a searcher needs them.
    """
    if table is not None:
        return "nb201", "--table is given"
    owners = [name for name in names() if dataset in find(name).datasets]
    if owners:
        return owners[0], f"it has {dataset}"
    if not images:
        return "nb201", "no images are needed"
    wanted = find("nb201").datasets[0]
    if find("nb201").has_images(places, wanted):
        return "nb201", f"{wanted} found"
    where = ", ".join(map(str, places)) or "--data, $HARNESS_DATA or ~/.cache/harness"
    return "digits201", f"no {wanted} images in {where}; for nb201: harness data fetch {wanted}"
