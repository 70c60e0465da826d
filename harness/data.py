"""Tables and images on this machine: converted, described, built."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.base import UserError
from benchmarks.nb201 import digits
from benchmarks.nb201.benchmark import find_table, open_benchmark
from harness import options
from harness.output import tell
from harness.progress import duration


def build_progress() -> Callable[[int, int, float], None]:
    """Prints what a build has done and the time left, at most every ten seconds."""
    shown = 0.0

    def report(done: int, total: int, seconds: float) -> None:
        nonlocal shown
        if time.monotonic() - shown > 10 or done == total:
            shown = time.monotonic()
            tell(f"{done:,} of {total:,} distinct cells, {duration(seconds)} left")

    return report


def convert_table(source: Path, dest: Path | None, verify: bool) -> str:
    """`harness data convert`: make the table, say what it holds, and compare with the official API if asked."""
    from benchmarks.nb201 import official
    from benchmarks.nb201.archives import LAYOUTS
    from benchmarks.nb201.table_file import kind_of

    target = dest or Path("~/.cache/harness/nb201.npz").expanduser()
    if target.is_dir():
        target = target / "nb201.npz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target}: its folder cannot be made ({error.strerror}); give another DEST") from None
    if verify and kind_of(source) not in LAYOUTS:
        raise UserError(f"{source}: no official archive, so the official API cannot read it; leave --verify out")
    # Under its own name only when all is well: a table there is found by later runs without being asked for.
    new = target.with_name(f"new-{target.name}") if verify else target
    shown = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 2 or done == total:
            shown = time.monotonic()
            tell(f"{done:,} of {total:,} cells")

    table = official.convert_apart(source, new, progress)
    text = f"{target}: {table.source}, sha256 {table.sha256}"
    for warning in table.warnings:
        text += f"\nwarning: {warning}"
    if verify:
        from benchmarks.nb201 import verify as official_api

        differences = official_api.verify(table, source)
        if differences:
            raise UserError(f"the official API gives other values ({new} is kept): " + "; ".join(differences[:3]))
        new.replace(target)
        text += "\nverified: 20 cells (or all, where there are fewer) read alike through the official API"
    return text


def table_info(path: Path | None) -> str:
    """`harness data info`: what a table or archive holds, how large it is, how long it takes to open."""
    from benchmarks.nb201.table_file import kind_of

    if path is not None:
        return _counts_info(path) if kind_of(path) == "counts" else _file_info(path)
    texts = [_counts_info(digits.FILE)]
    try:
        texts.append(_file_info(find_table(None, options.places_for(None))))
    except UserError as error:
        texts.append(str(error))
    return "\n".join(texts)


def _counts_info(path: Path) -> str:
    counts = digits.load_counts(path)
    about = counts.about
    lines = [
        str(path),
        f"  source: {digits.NAME}, trained by this project on {about['machine']['cpu']}, "
        f"torch {about['machine']['torch']}",
        f"  sha256 of the counts: {counts.sha256}",
        f"  distinct cells trained: {int(counts.done.sum()):,} of {len(counts.done):,}, "
        f"{len(digits.SEEDS)} seeds each, standing for {int(counts.done[counts.class_of].sum()):,} cells",
        f"  bytes: {path.stat().st_size:,}",
        f"  columns: {', '.join(f'{split} at {epochs} epochs' for split, epochs in digits.COLUMNS)}; "
        f"{len(digits.SEEDS)} trials each",
    ]
    if "seconds" in about:
        fits = ", ".join(f"{name} R² {about['seconds'][name]['r2']:.3f}" for name in ("train", "valid"))
        lines.append(f"  seconds: linear in the operation counts, {about['seconds']['cells']} cells timed, {fits}")
    if counts.done.sum() > 2:
        try:
            table = open_benchmark("nb201", find_table(None, options.places_for(None)))
            cifar10 = table.column("cifar10", "test").mean
        except UserError:
            cifar10 = None
        lines.append("  quality (Spearman correlations unless said otherwise):")
        lines += [f"    {name}: {value:.3f}" for name, value in digits.quality(counts, cifar10).items()]
    return "\n".join(lines)


def _file_info(path: Path) -> str:
    from benchmarks.nb201 import official

    start = time.perf_counter()
    found = official.info(path)
    found["opened in"] = f"{time.perf_counter() - start:.2f} s"
    if "columns" in found:
        found["columns"] = [_column(column) for column in found["columns"]]
    if "costs" in found:
        found["costs"] = [f"{name} of {', '.join(records)}" for name, records in found["costs"].items()]
    lines = [str(path)]
    for key, value in found.items():
        if isinstance(value, (list, tuple)):
            lines += [f"  {key}:", *(f"    {item}" for item in value)]
        else:
            lines.append(f"  {key}: {value}")
    return "\n".join(lines)


def _column(about: Mapping[str, Any]) -> str:
    trials = ", ".join(
        f"{cells:,} cell{'s' if cells > 1 else ''} with {count} trial{'s' if count > 1 else ''}"
        for count, cells in about["cells_by_trials"].items()
    )
    text = f"{about['record']:<15}{about['split']:<9} {about['epochs']:>3} epochs  {trials}"
    seeds = ", ".join(map(str, about["seeds"]))
    return f"{text}; seed{'s' if len(about['seeds']) > 1 else ''} {seeds}{'' if about['single_trials'] else ', means'}"
