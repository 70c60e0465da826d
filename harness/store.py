"""A campaign's folder on disk: written atomically, checked when read, nothing ever deleted.

DIR/campaign.json
DIR/runs/<label>/seed-<n>/   trace.jsonl, checkpoint.pt (while unfinished), record.json (written last), error.txt
DIR/runs/<label>/claim-<n>   while somebody makes that run: host and process
                             a record counts only in the folder that its own label and seed name, not in a copy of it
DIR/aside/                   what was replaced: runs under other settings, damaged files
DIR.old-<n>                  what --fresh replaced
DIR/report/
DIR/slurm/                   job files and logs of Slurm tasks
DIR.lock                     while a command that makes runs writes campaign.json or the report

Several commands may work on one folder, also from several machines that share a disk. The locks are the operating
system's, so that a holder's end, however it comes, frees them.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, out_of_memory
from benchmarks.files import bounded_memory, read_at_most, written_whole
from harness import schema
from harness.schema import Campaign, Entrant, Record, TraceSum

LARGEST_MB, LARGEST_CHECKPOINT_MB = 256, 16_384  # the first of a record or campaign.json
DIGEST = "sha256"  # the last key of our JSON files: of their content without it


def run_folder(folder: Path, label: str, seed: int) -> Path:
    return folder / "runs" / label / f"seed-{seed}"


# -------------------------------------------------------------------------------------------------- writing


def write_bytes(path: Path, data: bytes) -> None:
    with written_whole(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """A JSON file; an object has a line for each of its keys."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        lines = [f" {json.dumps(str(k))}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
        text = "{\n" + ",\n".join(lines) + "\n}"
    # Names of files that are no UTF-8 hold surrogates; json.loads takes them back.
    write_bytes(path, (text + "\n").encode("utf-8", "surrogatepass"))


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """A JSON object with its own checksum, so that a changed byte is found when it is read."""
    write_json(path, value | {DIGEST: _digest(value)})


def save(folder: Path, value: Record | Campaign) -> None:
    """record.json in a run's folder, or campaign.json in a campaign's."""
    name = "record.json" if isinstance(value, Record) else "campaign.json"
    write_sealed(folder / name, schema.content(value))


def _digest(value: dict[str, Any]) -> str:
    return sha256(json.dumps({k: v for k, v in value.items() if k != DIGEST}).encode()).hexdigest()


# -------------------------------------------------------------------------------------------------- reading


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote; UserError naming the file where it was damaged or changed since.

    OSError passes through: that a disk does not answer says nothing against what is on it.
    """
    data = read_at_most(path, LARGEST_MB)
    try:
        value = json.loads(data)
        whole = isinstance(value, dict) and value.get(DIGEST) == _digest(value)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, not readable as JSON ({error})") from None
    if not whole:
        raise UserError(f"{path}: damaged or changed since it was written: its checksum does not fit")
    del value[DIGEST]
    return value


def load_campaign(folder: Path) -> Campaign:
    """campaign.json of a campaign's folder."""
    path = folder / "campaign.json"
    if not path.is_file():
        raise UserError(f"{folder}: no campaign here (looked for {path.name}); make one with harness run --out")
    try:
        return schema.parse(Campaign, read_sealed(path), path)
    except UserError as error:
        raise UserError(f"{error}; the command that made the campaign, given again, writes it anew") from None


class Misplaced(UserError):
    """A record that lies in a folder of another label or seed, as copies and backups of a run's folder do."""


def load_record(folder: Path) -> Record | None:
    """The record in a run's folder, or None where there is none; UserError where it is damaged or another run's."""
    path = folder / "record.json"
    try:
        record = schema.parse(Record, read_sealed(path), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if (folder.parent.name, folder.name) != (record.label, f"seed-{record.seed}"):
        own = f"{record.label}/seed-{record.seed}"
        raise Misplaced(f"{path}: the record of {record.label} seed {record.seed}, whose folder is {own}")
    return record


def record_of(folder: Path, key: str) -> Record | None:
    """The record of just this run, or None where there is none, a damaged one, or another run's."""
    try:
        record = load_record(folder)
    except UserError:
        return None
    return record if record is not None and record.key == key else None


def load_records(folder: Path) -> tuple[list[Record], dict[Path, str]]:
    """All records of a campaign, each label and seed once, in the order of its searchers, then of the seeds; and what
    is left out: a sentence for each run's folder that has no record of use, and for each entry of `runs` with records
    out of place.
    """
    campaign = load_campaign(folder)
    order = {s.label: k for k, s in enumerate(campaign.searchers)}
    records = []
    wrong: dict[Path, str] = {}
    files, strays = _record_files(folder)
    for path in files:
        try:
            record = load_record(path)
        except Misplaced:
            strays.append(path / "record.json")
        except UserError as error:
            again = path.parent.name in order
            wrong[path] = f"{error}; the command that made it, given again, {'repeats' if again else 'imports'} it"
        except OSError as error:
            wrong[path] = f"{path}: its record cannot be read ({error.strerror or error})"
        else:
            if record is not None and (what := _foreign(record, campaign)):
                wrong[path] = f"{path}: {what}; left out"
            elif record is not None:
                records.append(record)
    wrong |= _left_out(folder / "runs", strays)
    records.sort(key=lambda r: (order.get(r.label, len(order)), r.label, r.seed))
    return records, dict(sorted(wrong.items()))


DEEPEST = 4  # levels under `runs` that are looked through: a campaign copied into it has its records there


def _record_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders runs/<label>/seed-<n> that have a record.json, and all else under `runs` that is named like a record:
    its name begins with "record" and has ".json" in it, e.g. `seed-0 (1)/record.json` or `record (conflict).json`.
    """
    runs, strays = [], []
    for place, folders, files in os.walk(folder / "runs", followlinks=True):
        path = Path(place)
        depth = len(path.relative_to(folder / "runs").parts)
        if depth == DEEPEST:
            folders.clear()
        for name in files:
            if name == "record.json" and depth == 2 and re.fullmatch("seed-[0-9]+", path.name):
                runs.append(path)
            elif re.match(r"record.*\.json", name, re.IGNORECASE) and not name.endswith(".tmp"):  # being written
                strays.append(path / name)
    return runs, strays


def _left_out(runs: Path, strays: list[Path]) -> dict[Path, str]:
    """For each entry of `runs` that holds records out of place a sentence that names them."""
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
    """A record's or a row's settings, without `oracle`, which older ones have: it became the searchers `…-table`."""
    return {name: value for name, value in row.config.items() if name != "oracle"}


def _foreign(record: Record, campaign: Campaign) -> str | None:
    """Why a record is none of this campaign's, or None."""
    for name in ("benchmark", "table_sha256", "search_dataset"):
        if getattr(record, name) not in (None, getattr(campaign, name)):
            return f"of a campaign with another {name}"
    preset = None if record.kind == "imported" else record.preset  # those were found without one
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
    """The lines of a trace; a torn last line, left by a kill, is not one."""
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)


def last_line(path: Path) -> dict[str, Any] | None:
    """The last whole line of a trace that somebody may be writing, or None."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 2**16))
            lines = file.read().split(b"\n")[:-1]
        return json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None


# -------------------------------------------------------------------------------------- trace and checkpoint


class Trace:
    """The trace of a running search: appended to, and known by its length and checksum at any moment."""

    def __init__(self, path: Path):
        """Begin an empty one; what another search left there is replaced."""
        self.file: Any = open(path, "wb")  # noqa: SIM115 - open as long as the search
        self.size, self.sum = 0, sha256()

    @classmethod
    def reopen(cls, path: Path, size: int, digest: str) -> Trace | None:
        """Go on after the first `size` bytes, the later ones dropped; None where they are not those of the digest."""
        if not path.is_file():
            return None
        trace = cls.__new__(cls)
        trace.file = open(path, "r+b")  # noqa: SIM115
        kept = trace.file.read(size)
        trace.size, trace.sum = size, sha256(kept)
        if len(kept) != size or trace.sum.hexdigest() != digest:
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
        """All of it on the disk, as a checkpoint that vouches for it needs."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()

    @property
    def checksum(self) -> TraceSum:
        """What a record says of its trace, for `trace_is`."""
        return TraceSum(bytes=self.size, sha256=self.sum.hexdigest())


def trace_is(path: Path, checksum: TraceSum | None) -> bool:
    """Whether a finished run's trace is as it was written; one that is gone is not missed."""
    if checksum is None:
        return True
    try:
        return path.stat().st_size == checksum.bytes and sha256(path.read_bytes()).hexdigest() == checksum.sha256
    except FileNotFoundError:
        return True


def checkpoint_bytes(content: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint's file, from tensors, numbers, strings, and lists and dicts of these.

    torch does not check what it reads, so a checksum follows its bytes; torch.load(weights_only=True) reads them too.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue() + sha256(buffer.getbuffer()).digest()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """UserError where the file is damaged; never executes what is in it."""
    import torch

    data = read_at_most(path, LARGEST_CHECKPOINT_MB)
    if sha256(data[:-32]).digest() != data[-32:]:
        raise UserError(f"{path}: damaged: its checksum does not fit")
    try:
        with bounded_memory(1024 + (8 * len(data) >> 20)):
            return torch.load(io.BytesIO(data[:-32]), map_location="cpu", weights_only=True)
    except Exception as error:
        if out_of_memory(error):
            raise  # says nothing against the checkpoint
        raise UserError(f"{path}: not a checkpoint ({type(error).__name__})") from None


# ------------------------------------------------------------------------------------------ aside and locks


def set_aside(path: Path) -> Path:
    """Move a file or folder of a campaign to its `aside` folder under a name not taken; where it is now."""
    runs = next((p for p in path.parents if p.name == "runs"), None)
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


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[bool]:
    """Hold a lock file; yields whether it is ours (with `wait`, after whatever time: yes).

    On a file system without locks it is ours always: see `has_locks`.
    """
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - open while held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            yield False
            return
        except OSError as error:
            if error.errno not in (*NO_LOCKS, errno.ESTALE):  # stale: removed from another machine, as below
                file.close()
                raise
        if _is(path, file.fileno()):
            break
        file.close()  # the last holder has just removed this file: the lock on it says nothing
    try:
        file.truncate(0)
        file.write(f"{platform.node()} process {os.getpid()}\n")
        file.flush()
        yield True
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Say, as long as the context lasts, that a command works on this folder: `--fresh` must not take it away."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks on folders: claims alone keep --fresh away
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_in_use(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return False


def campaign_lock(folder: Path) -> Any:
    """Context manager: campaign.json and the report are ours to read and write; waits for others.

    Beside the folder, which may be moved meanwhile, or in it where nothing can be written beside it.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = os.access(folder.parent, os.W_OK) or not folder.is_dir()  # where it cannot be made, that is the error
    return lock(folder.with_name(folder.name + ".lock") if beside else folder / "campaign.lock", wait=True)


def claim_path(folder: Path) -> Path:
    """The lock of the run in this folder; beside it, so that the folder can be moved while it is held."""
    return folder.with_name(folder.name.replace("seed-", "claim-"))


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Whether the run in this folder is ours to make, for as long as the context lasts."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(3):  # `holder` has it for a moment when it looks
        with lock(claim_path(folder)) as mine:
            if mine or attempt == 2:
                yield mine
                return
        time.sleep(0.03)


def holder(path: Path) -> str | None:
    """Who holds a lock file ("host process 123"), or None where nobody does."""
    try:
        with open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "somebody"
    except OSError:
        pass
    return None


def running(folder: Path) -> dict[Path, str]:
    """The runs of a campaign that are being made: their folders and by whom."""
    claims = {path: holder(path) for path in folder.glob("runs/*/claim-*")}
    return {p.with_name(p.name.replace("claim-", "seed-")): who for p, who in claims.items() if who is not None}


def has_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks; where not, nothing keeps two commands from one run."""
    try:
        with open(folder / f"lock.{os.getpid()}.tmp", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    finally:
        (folder / f"lock.{os.getpid()}.tmp").unlink(missing_ok=True)
    return True
