"""A CSV that a study script appends to, and what it needs to go on where it was stopped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

Keys: TypeAlias = set[tuple[str, ...]]


@contextmanager
def appended(path: Path, columns: Sequence[str], key: int) -> Iterator[tuple[Keys, Callable[..., None]]]:
    """The keys (first `key` columns, as text) that are there, and a function that writes rows at once."""
    there: Keys = set()
    if path.exists():
        with open(path, newline="") as file:
            there = {tuple(row[:key]) for row in list(csv.reader(file))[1:]}
    with open(path, "a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")

        def write(*rows: Sequence[Any]) -> None:
            table.writerows(rows)
            file.flush()

        if not file.tell():
            write(columns)
        yield there, write
