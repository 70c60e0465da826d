"""A campaign's folder on disk: written atomically, checked when read, nothing ever deleted.

DIR/campaign.json
DIR/runs/<label>/seed-<n>/   trace.jsonl, checkpoint.pt (while unfinished), record.json (written last), error.txt
DIR/runs/<label>/claim-<n>   while a process makes that run: its host and number (`locks.py`)
DIR/evaluations/<target>-<recipe>-<8 hex of the cell>/seed-<n>/   the same of a network trained from scratch
DIR/aside/                   what was replaced: runs under other settings, damaged files
DIR.old-<n>                  what --fresh replaced
DIR/report/
DIR/slurm/                   job files and logs of Slurm tasks
DIR.lock                     while a command that makes runs writes campaign.json or the report (`locks.py`)

A record counts only in the folder that its own label and seed name: copies of a run's folder are left out.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.errors import UserError, out_of_memory
from benchmarks.files import bounded_memory, read_at_most, written_whole
from harness import schema
from harness.schema import Campaign, Entrant, EvaluationRecord, Fingerprint, Record

Kept = TypeVar("Kept", bound=Record | EvaluationRecord)  # what a job leaves in its folder
LARGEST_MB, LARGEST_CHECKPOINT_MB = 256, 16_384  # of a JSON file (record.json, campaign.json), of checkpoint.pt
DIGEST = "sha256"  # last key of a sealed JSON file: the checksum of all other keys


def run_folder(folder: Path, label: str, seed: int) -> Path:
    """The folder of one run in a campaign's folder."""
    return folder / "runs" / label / f"seed-{seed}"


def evaluation_folder(folder: Path, label: str, seed: int) -> Path:
    """The folder of one training from scratch in a campaign's folder."""
    return folder / "evaluations" / label / f"seed-{seed}"


# -------------------------------------------------------------------------------------------------- writing


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file; an object gets a line for each of its keys."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        lines = [f" {json.dumps(str(k))}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
        text = "{\n" + ",\n".join(lines) + "\n}"
    # File names that are not UTF-8 hold surrogates; json.loads reads them back.
    write_bytes(path, (text + "\n").encode("utf-8", "surrogatepass"))


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with its own checksum, by which `read_sealed` finds any changed byte."""
    write_json(path, value | {DIGEST: _digest(value)})


def save(folder: Path, value: Record | EvaluationRecord | Campaign) -> None:
    """record.json in a job's folder, or campaign.json in a campaign's."""
    name = "campaign.json" if isinstance(value, Campaign) else "record.json"
    write_sealed(folder / name, value.model_dump())


def _digest(value: dict[str, Any]) -> str:
    return sha256(json.dumps({k: v for k, v in value.items() if k != DIGEST}).encode()).hexdigest()


# -------------------------------------------------------------------------------------------------- reading


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote; UserError naming the file where it was damaged or changed since.

    OSError passes through: a disk that does not answer may still hold a sound file.
    """
    data = read_at_most(path, LARGEST_MB)
    try:
        value = json.loads(data)
        is_sound = isinstance(value, dict) and value.get(DIGEST) == _digest(value)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, not readable as JSON ({error})") from None
    if not is_sound:
        raise UserError(f"{path}: damaged or changed since it was written: its checksum does not fit")
    del value[DIGEST]
    return value


def load_campaign(folder: Path) -> Campaign:
    """Read campaign.json of a folder; UserError where there is none, or a damaged one."""
    path = folder / "campaign.json"
    if not path.is_file():
        raise UserError(f"{folder}: no campaign here (looked for {path.name}); make one with harness run --out")
    try:
        return schema.parse(Campaign, read_sealed(path), path)
    except UserError as error:
        raise UserError(f"{error}; the command that made the campaign, given again, writes it anew") from None


class Misplaced(UserError):
    """A record that lies in a folder of another label or seed, as copies and backups of a run's folder do."""


def load_record(folder: Path, kind: type[Kept] = Record) -> Kept | None:  # type: ignore[assignment]
    """The record in a job's folder, or None where there is none; UserError where it is damaged or another job's."""
    path = folder / "record.json"
    try:
        record = schema.parse(kind, read_sealed(path), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if (folder.parent.name, folder.name) != (record.label, f"seed-{record.seed}"):
        own = f"{record.label}/seed-{record.seed}"
        raise Misplaced(f"{path}: the record of {record.label} seed {record.seed}, whose folder is {own}")
    return record


def record_of(folder: Path, key: str, kind: type[Kept] = Record) -> Kept | None:  # type: ignore[assignment]
    """The record in a job's folder if it has this key; None for a missing, damaged or other job's record."""
    try:
        record = load_record(folder, kind)
    except UserError:
        return None
    return record if record is not None and record.key == key else None


def load_evaluations(folder: Path) -> tuple[list[EvaluationRecord], dict[Path, str]]:
    """All records of trainings from scratch in a campaign's folder, in the order of their labels and seeds.

    And what is left out, as path -> a sentence that says why.
    """
    records = []
    faults: dict[Path, str] = {}
    for path in folder.glob("evaluations/*/seed-*/record.json"):
        try:
            record = load_record(path.parent, EvaluationRecord)
        except Misplaced as error:
            faults[path.parent] = f"{error}; left out"
        except UserError as error:
            faults[path.parent] = f"{error}; the command that made it, given again, repeats it"
        except OSError as error:
            faults[path.parent] = f"{path.parent}: its record cannot be read ({error.strerror or error})"
        else:
            if record is not None:
                records.append(record)
    return sorted(records, key=lambda r: (r.label, r.seed)), dict(sorted(faults.items()))


def load_records(folder: Path) -> tuple[list[Record], dict[Path, str]]:
    """All records of a campaign, and what is left out, as path -> a sentence that says why.

    Records are ordered by the campaign's searchers, then by seed; each label and seed comes once. Left out are run
    folders whose record cannot be used, and entries of `runs` that hold records out of place.
    """
    campaign = load_campaign(folder)
    order = {s.label: k for k, s in enumerate(campaign.searchers)}
    records: list[Record] = []
    faults: dict[Path, str] = {}
    files, strays = _record_files(folder)
    for path in files:
        try:
            record = load_record(path)
        except Misplaced:
            strays.append(path / "record.json")
        except UserError as error:
            verb = "repeats" if path.parent.name in order else "imports"
            faults[path] = f"{error}; the command that made it, given again, {verb} it"
        except OSError as error:
            faults[path] = f"{path}: its record cannot be read ({error.strerror or error})"
        else:
            if record is not None and (reason := _mismatch(record, campaign)):
                faults[path] = f"{path}: {reason}; left out"
            elif record is not None:
                records.append(record)
    faults |= _stray_faults(folder / "runs", strays)
    records.sort(key=lambda r: (order.get(r.label, len(order)), r.label, r.seed))
    return records, dict(sorted(faults.items()))


DEEPEST = 4  # levels of folders under `runs` that are searched; a campaign copied into `runs` has its records there


def _record_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders runs/<label>/seed-<n> that have a record.json, and the stray files under `runs`.

    A stray file is named like a record but lies elsewhere or has another name: it begins with "record" and has ".json"
    in it, e.g. `seed-0 (1)/record.json` or `record (conflict).json`.
    """
    runs, strays = [], []
    for parent, folders, files in os.walk(folder / "runs", followlinks=True):
        path = Path(parent)
        depth = len(path.relative_to(folder / "runs").parts)
        if depth == DEEPEST:
            folders.clear()
        for name in files:
            if name == "record.json" and depth == 2 and re.fullmatch("seed-[0-9]+", path.name):
                runs.append(path)
            elif re.match(r"record.*\.json", name, re.IGNORECASE) and not name.endswith(".tmp"):  # being written
                strays.append(path / name)
    return runs, strays


def _stray_faults(runs: Path, strays: list[Path]) -> dict[Path, str]:
    """Entry of `runs` that holds stray records -> a sentence that names them."""
    inside: dict[Path, list[str]] = {}
    for path in sorted(strays):
        first, *rest = path.relative_to(runs).parts
        inside.setdefault(runs / first, []).append("/".join(rest) or first)
    return {
        entry: f"{entry}: these records do not lie in their own run's folder and are left out: "
        + ", ".join(names[:3])
        + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        for entry, names in inside.items()
    }


def _settings(row: Record | Entrant) -> dict[str, Any]:
    """Settings of a record or of a searcher's row in campaign.json, without the old setting `oracle`.

    `oracle=table` of cso and cmaes became the searchers cso-table and cmaes-table.
    """
    return {name: value for name, value in row.config.items() if name != "oracle"}


def _mismatch(record: Record, campaign: Campaign) -> str | None:
    """Why a record does not belong to this campaign; None where it does."""
    for name in ("benchmark", "table_sha256", "search_dataset"):
        if getattr(record, name) not in (None, getattr(campaign, name)):
            return f"of a campaign with another {name}"
    preset = None if record.kind == "imported" else record.preset  # imported cells have no preset
    if preset is not None and preset.name != campaign.preset.name:
        return "of a campaign with another preset"
    row = next((s for s in campaign.searchers if s.label == record.label), None)
    if row is None:
        return None
    if row.kind != record.kind:
        return f"{record.kind}, where {row.spec} is {row.kind}"
    if _settings(row) != _settings(record):
        return "made with other settings than today's"
    if row.plugin_source not in (None, record.environment.get("plugin_source")):
        return f"made with other code than today's {row.plugin}"
    return None


def read_trace(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a trace, without a torn last line, which a killed process leaves."""
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)


def last_line(path: Path) -> dict[str, Any] | None:
    """The last whole line of a trace, which another process may be writing; None where there is none yet."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 2**16))
            lines = file.read().split(b"\n")[:-1]
        return json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None


# -------------------------------------------------------------------------------------- trace and checkpoint


class Trace:
    """The trace file of a running search. Lines are appended; its length and checksum are known at any moment."""

    def __init__(self, path: Path):
        """Begin an empty trace in place of any older file."""
        self.file: Any = open(path, "wb")  # noqa: SIM115 - open as long as the search
        self.size, self.sum = 0, sha256()

    @classmethod
    def reopen(cls, path: Path, size: int, digest: str) -> Trace | None:
        """Continue a trace after its first `size` bytes and drop the rest; None where these do not have the digest."""
        if not path.is_file():
            return None
        trace = cls.__new__(cls)
        trace.file = open(path, "r+b")  # noqa: SIM115
        start = trace.file.read(size)
        trace.size, trace.sum = size, sha256(start)
        if len(start) != size or trace.sum.hexdigest() != digest:
            trace.file.close()
            return None
        trace.file.truncate(size)
        trace.file.seek(size)
        return trace

    def append(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, allow_nan=False) + "\n").encode()
        self.file.write(data)
        self.size += len(data)
        self.sum.update(data)

    def sync(self) -> None:
        """Put all lines on the disk: a checkpoint, written afterwards, relies on them."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()

    @property
    def fingerprint(self) -> Fingerprint:
        """Length and checksum, which a record keeps of its trace for `is_trace_intact`."""
        return Fingerprint(bytes=self.size, sha256=self.sum.hexdigest())


def is_trace_intact(path: Path, fingerprint: Fingerprint | None) -> bool:
    """Whether a finished run's trace is as it was written; a missing trace, or no fingerprint, is no fault."""
    if fingerprint is None:
        return True
    try:
        size, digest = path.stat().st_size, sha256(path.read_bytes()).hexdigest()
        return (size, digest) == (fingerprint.bytes, fingerprint.sha256)
    except FileNotFoundError:
        return True


def checkpoint_bytes(content: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint's file; `content` holds tensors, numbers, strings, and lists and dicts of these.

    torch's bytes come first and their SHA-256 last, since torch does not check what it reads. torch.load reads such a
    file as well (weights_only=True).
    """
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue() + sha256(buffer.getbuffer()).digest()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it; UserError where the file is damaged."""
    import torch

    data = read_at_most(path, LARGEST_CHECKPOINT_MB)
    if sha256(data[:-32]).digest() != data[-32:]:
        raise UserError(f"{path}: damaged: its checksum does not fit")
    try:
        with bounded_memory(1024 + (8 * len(data) >> 20)):
            return torch.load(io.BytesIO(data[:-32]), map_location="cpu", weights_only=True)
    except Exception as error:
        if out_of_memory(error):
            raise  # the checkpoint itself may be sound
        raise UserError(f"{path}: not a checkpoint ({type(error).__name__})") from None


# ---------------------------------------------------------------------------------------------------- aside


def set_aside(path: Path) -> Path:
    """Move a file or folder of a campaign to its `aside` folder, under a free name; returns the new path."""
    runs = next((p for p in path.parents if p.name in ("runs", "evaluations")), None)
    root = path.parent if runs is None or path.name == "campaign.json" else runs.parent
    name = "-".join(path.relative_to(root).parts)
    target = root / "aside" / name
    number = 1
    while target.exists():
        number += 1
        target = root / "aside" / f"{name}.{number}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return target
