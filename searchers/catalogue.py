"""All searchers by name: this program's own, and those of other installed packages (`plugins.py`)."""

from __future__ import annotations

from importlib import import_module

from benchmarks.errors import UserError, suggestion
from searchers import plugins
from searchers.base import SEARCHERS, Searcher


def names() -> list[str]:
    """All registered searchers: ours, then those of other installed packages (group `harness.searchers`)."""
    return [*SEARCHERS, *(name for name in plugins.points_by_name() if name not in SEARCHERS)]


def find(name: str) -> type[Searcher]:
    """The class of a searcher; UserError with the valid names for an unknown one, or for a package that is broken."""
    if name in SEARCHERS:
        module, _, attribute = SEARCHERS[name].partition(":")
        return getattr(import_module(module), attribute)
    points = plugins.points_by_name().get(name)
    if points is None:
        raise UserError(f"unknown searcher {name!r}{suggestion(name, names())}")
    return plugins.load(name, points)


def load_all() -> tuple[dict[str, type[Searcher]], list[str]]:
    """The classes of all searchers by name, and an error line for each that cannot be loaded."""
    classes: dict[str, type[Searcher]] = {}
    broken = []
    for name in names():
        try:
            classes[name] = find(name)
        except UserError as error:
            broken.append(str(error))
    return classes, broken
