"""Tables and images: fetched, converted, described, built. What each benchmark offers is in its `tools`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks import fetch as archives
from benchmarks import image_folders, registry
from benchmarks.errors import UserError
from harness.output import tell
from harness.progress import Transfer, duration


def tools() -> Iterator[tuple[str, ModuleType]]:
    """The benchmarks that have a module of tools, with it."""
    for name in registry.names():
        if module := registry.find(name).tools:
            yield name, import_module(module)


def fetch(dataset: str, folder: Path | None, source: str | None) -> str:
    """`harness data fetch`: a data set's official images, into the first of the folders that are looked in."""
    archive = archives.archive_of(dataset)
    root = (folder or Path(os.environ.get("HARNESS_DATA") or "~/.cache/harness")).expanduser()
    with Transfer() as transfer:
        return archives.fetch(archive, root, source, transfer.report)


def convert(source: Path, dest: Path | None, verify: bool) -> str:
    """`harness data convert`: a table of official files, by the first benchmark that has such."""
    converter = next(module.convert for _, module in tools() if hasattr(module, "convert"))
    return converter(source, dest, verify, _seldom(2, lambda done, total: f"{done:,} of {total:,} cells"))


def info(path: Path | None) -> str:
    """`harness data info`: what a file or a folder of images holds; by default the embedded tables, one by one."""
    if path is not None and (text := image_folders.info(path)) is not None:
        return text
    texts = [text for _, module in _most_particular() if (text := module.info(path)) is not None]
    return texts[0] if path is not None else "\n".join(texts)


def _most_particular() -> Iterator[tuple[str, ModuleType]]:
    """The tools, those of benchmarks with a file format of their own first."""
    return iter(sorted(tools(), key=lambda pair: hasattr(pair[1], "convert")))


def build(name: str, path: Path, workers: int) -> None:
    """`harness data build`: train a benchmark's table, or go on with that; UserError where it is not one of ours."""
    builders = {name: module.build for name, module in tools() if hasattr(module, "build")}
    if name not in builders:
        raise UserError(f"{name!r} is no benchmark that is built here (one of: {', '.join(builders)})")
    words = "{:,} of {:,} distinct cells, {} left"
    builders[name](path, workers, _seldom(10, lambda done, total, left: words.format(done, total, duration(left))))


def _seldom(seconds: float, words: Callable[..., str]) -> Callable[..., None]:
    """A reporter of progress: says `words(done, total, …)` at most every so often, and at the end."""
    shown = 0.0

    def report(done: int, total: int, *more: float) -> None:
        nonlocal shown
        if time.monotonic() - shown > seconds or done == total:
            shown = time.monotonic()
            tell(words(done, total, *more))

    return report
