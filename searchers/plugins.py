"""Searchers of other installed packages: their entry points in group `harness.searchers`, checked, and their code.

A package that is broken costs one line that names it, never the searchers of others.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.errors import UserError, label
from searchers.base import KINDS, SEARCHERS, Searcher, Settings, configure

GROUP = "harness.searchers"
ROOM = len("-12345678")  # settings other than the defaults add this to a searcher's name in the label of its runs
CODE = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)


class Origin(NamedTuple):
    """The distribution that a searcher comes from, as "name version", and the digest of its code."""

    plugin: str
    source: str


def points_by_name() -> dict[str, list[EntryPoint]]:
    """The entry points of all installed packages by searcher name; a name may be registered by several."""
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        points.setdefault(point.name, []).append(point)
    return points


def name_conflicts() -> dict[str, str]:
    """Name of one of this program's searchers that packages register too -> a line that says so."""
    return {
        name: f"searcher {name!r}: this program's own is used; {_all_of(points)} registers that name too and has to "
        f"rename its entry point in group {GROUP}"
        for name, points in points_by_name().items()
        if name in SEARCHERS
    }


def load(name: str, points: list[EntryPoint]) -> type[Searcher]:
    """The class behind the entry points of one name; UserError naming the package and what is wrong with it."""
    if len(points) > 1:
        raise UserError(f"searcher {name!r} is registered by {_all_of(points)}: uninstall one of them")
    (point,) = points
    searcher: Any = None
    try:
        searcher = point.load()
        fault = _fault(name, searcher)
    except KeyboardInterrupt:
        raise
    except UserError as error:
        fault = str(error)
    except BaseException as error:  # other people's code may raise anything, sys.exit() included
        fault = f"{point.value} cannot be used: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
    if fault is not None:
        raise UserError(f"searcher {name!r} of {_distribution(point)}: {fault}")
    return searcher


def _fault(name: str, searcher: Any) -> str | None:
    """Why commands cannot list, configure or run a class as a searcher; None where they can.

    UserError where the name itself breaks the rule of names.
    """
    label(name, "its name", ROOM)
    if not (isinstance(searcher, type) and issubclass(searcher, Searcher)):
        return f"its entry point names {searcher!r}, which is no subclass of searchers.base.Searcher"
    if inspect.isabstract(searcher):
        return f"class {searcher.__name__} lacks {', '.join(sorted(searcher.__abstractmethods__))}"
    if getattr(searcher, "name", None) != name:
        return f"class {searcher.__name__} must have name = {name!r}, as its entry point"
    if getattr(searcher, "kind", None) not in KINDS:
        return f"class {searcher.__name__} must have kind = {' or '.join(map(repr, KINDS))}"
    if not (isinstance(searcher.Config, type) and issubclass(searcher.Config, Settings)):
        return "its Config must be a subclass of searchers.base.Settings"
    required = [key for key, field in searcher.Config.model_fields.items() if field.is_required()]
    if required:
        return f"its setting {required[0]!r} has no default; every setting needs one"
    searcher.Config().model_dump(mode="json")
    for what, settings in searcher.ablations.items():
        try:
            configure(searcher, settings)
        except UserError as error:
            return f"its ablation {what!r} is no valid setting: {error}"
    return None


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _all_of(points: list[EntryPoint]) -> str:
    return " and ".join(sorted(map(_distribution, points)))


# ------------------------------------------------------------------------------------------------ their code


@cache
def origin(name: str) -> Origin:
    """Where a searcher's code comes from, read once per process; both fields are empty for this program's searchers.

    The digest covers all modules of the distribution and is the same for an editable installation. UserError where no
    file of its code is found.
    """
    if name in SEARCHERS:
        return Origin("", "")
    (point,) = points_by_name()[name]
    files = _files(point)
    if not files:
        raise UserError(f"searcher {name!r} of {_distribution(point)}: no file of its code is found")
    return Origin(_distribution(point), digest(files))


def digest(files: Mapping[str, Path]) -> str:
    """12 hex digits of the SHA-256 of files, given as name -> path.

    Hashed are, for each file in the order of the names: its name, a zero byte, its text (lines ended by LF), a zero
    byte.
    """
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + files[name].read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return total.hexdigest()[:12]


def _files(point: EntryPoint) -> dict[str, Path]:
    """The modules of an entry point's distribution: the path under which each is imported -> its file.

    An editable installation does not list its modules, so the packages of its entry points are looked up as an import
    would. Other distributions share a namespace package, so only the part below it counts.
    """
    dist, modules = point.dist, {point.module}
    files: dict[str, Path] = {}
    if dist is not None:
        modules |= {other.module for other in dist.entry_points.select(group=GROUP)}
        modules |= set((dist.read_text("top_level.txt") or "").split())
        for path in dist.files or ():
            if path.name.endswith(CODE) and path.parts[0] != ".." and not path.name.startswith("__editable__"):
                files[path.as_posix()] = Path(str(path.locate()))
    for module in sorted(modules):
        spec = _outermost(module)
        if spec is None:
            continue
        top = spec.name.replace(".", "/")
        if spec.submodule_search_locations is None:
            files[f"{top}{Path(spec.origin or '').suffix}"] = Path(spec.origin or "")
        for folder in map(Path, spec.submodule_search_locations or ()):
            files |= {
                f"{top}/{path.relative_to(folder).as_posix()}": path
                for path in folder.rglob("*")
                if path.name.endswith(CODE)
            }
    return {name: path for name, path in files.items() if path.is_file()}


def _outermost(module: str) -> ModuleSpec | None:
    """The outermost package around a module that is no namespace package, or the module itself; None where missing.

    Nothing of it is executed.
    """
    spec, parts = None, module.split(".")
    for k in range(1, len(parts) + 1):
        try:
            spec = find_spec(".".join(parts[:k]))
        except (ImportError, ValueError):
            return None
        if spec is None or spec.origin is not None:
            return spec
    return None
