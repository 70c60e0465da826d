"""A campaign's folder on disk: written atomically, readable by anybody, nothing ever deleted.

DIR/campaign.json
DIR/runs/<label>/seed-<n>/   trace.jsonl, checkpoint.pt (while unfinished), record.json (written last)
DIR/aside/                   what was replaced: runs under other settings, damaged files, --fresh
DIR/report/
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.base import UserError


def run_folder(folder: Path, label: str, seed: int) -> Path:
    return folder / "runs" / label / f"seed-{seed}"


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write all of it or nothing: a reader sees the old file or the new one."""
    write_bytes(path, (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """The content of a JSON file; UserError naming it where it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); move it away and run again") from None


def load_campaign(folder: Path) -> dict[str, Any]:
    """campaign.json of a campaign's folder."""
    path = folder / "campaign.json"
    if not path.is_file():
        raise UserError(f"{folder}: no campaign here (looked for {path.name}); make one with harness run --out")
    return read_json(path)


def load_record(folder: Path) -> dict[str, Any] | None:
    """The record in a run's folder, or None where there is none or it is damaged (then it is set aside)."""
    path = folder / "record.json"
    if not path.is_file():
        return None
    try:
        record = read_json(path)
        if isinstance(record, dict) and "key" in record and "status" in record:
            return record
    except UserError:
        pass
    set_aside(path)
    return None


def load_records(folder: Path) -> list[dict[str, Any]]:
    """All records of a campaign, in the order of its searchers, then of the seeds."""
    order = {s["label"]: k for k, s in enumerate(load_campaign(folder)["searchers"])}
    records = [r for path in folder.glob("runs/*/seed-*") if (r := load_record(path)) is not None]
    return sorted(records, key=lambda r: (order.get(r["label"], len(order)), r["label"], r["seed"]))


def read_trace(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a trace; a torn last line, left by a kill, is not one."""
    if not path.is_file():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                return


def cut_trace(path: Path, steps: int) -> bool:
    """Keep the first `steps` lines, those that the checkpoint knows of; False where they are not all there."""
    if steps == 0:
        path.unlink(missing_ok=True)
        return True
    kept = [json.dumps(line) for line in islice(read_trace(path), steps)]
    if len(kept) < steps:
        return False
    write_bytes(path, "".join(line + "\n" for line in kept).encode())
    return True


def set_aside(path: Path) -> Path:
    """Move a file or folder of a campaign to its `aside` folder under a name not taken; where it is now."""
    parts = path.parts
    root = Path(*parts[: len(parts) - parts[::-1].index("runs") - 1]) if "runs" in parts else path.parent
    name = "-".join(path.relative_to(root).parts)
    target = root / "aside" / name
    number = 1
    while target.exists():
        number += 1
        target = root / "aside" / f"{name}.{number}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return target
