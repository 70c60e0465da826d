"""Locks on a campaign's folder: which command makes which run, and who may write campaign.json.

Several commands may work on one folder, also from several machines that share a disk. The locks are the operating
system's: it frees them when a process ends, however it ends. `store.py` lists the lock files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # errors of file systems without locks
SOMEBODY = "somebody"  # where a lock does not say who has it


@contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[bool]:
    """Hold a lock file while the context lasts; yields whether this process has got it.

    With `wait` it waits until it has. On a file system without locks every process gets it: see `has_locks`.
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
            if error.errno not in (*NO_LOCKS, errno.ESTALE):  # ESTALE: another machine removed the file; once more
                file.close()
                raise
        if _is_file_of(path, file.fileno()):
            break
        file.close()  # the last holder has removed this file meanwhile: a lock on it keeps nobody out
    try:
        file.truncate(0)
        file.write(f"{platform.node()} process {os.getpid()}\n")
        file.flush()
        yield True
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is_file_of(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Mark a folder as used by a command while the context lasts, so that `--fresh` does not move it away."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # no locks on folders here: only the claims of its runs keep --fresh away
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_in_use(folder: Path) -> bool:
    """Whether some command is inside `in_use` of this folder."""
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
    """A context in which this process alone writes campaign.json and the report; waits for other processes.

    The lock file is beside the folder, since the folder may be moved meanwhile, or in it where nothing can be written
    beside it.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = os.access(folder.parent, os.W_OK) or not folder.is_dir()  # a folder that cannot be made is an error later
    return lock(folder.with_name(folder.name + ".lock") if beside else folder / "campaign.lock", wait=True)


def claim_path(folder: Path) -> Path:
    """The lock file of the run in this folder: beside it, so that the folder can be moved while the lock is held."""
    return folder.with_name(folder.name.replace("seed-", "claim-"))


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Claim the run in this folder while the context lasts; yields whether this process may make it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(3):  # another process's `holder` has the lock for a moment
        with lock(claim_path(folder)) as is_ours:
            if is_ours or attempt == 2:
                yield is_ours
                return
        time.sleep(0.03)


def holder(path: Path) -> str | None:
    """Who holds a lock file, as "host process 123"; None where nobody does."""
    try:
        with open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or SOMEBODY
    except OSError:
        pass
    return None


def claimant(folder: Path) -> str:
    """Who makes the run in this folder, which another process has just been seen to hold."""
    return holder(claim_path(folder)) or SOMEBODY


def running(folder: Path) -> dict[Path, str]:
    """The jobs of a campaign that are being made: folder of the run or evaluation -> who makes it."""
    claims = {path: holder(path) for kind in ("runs", "evaluations") for path in folder.glob(f"{kind}/*/claim-*")}
    return {p.with_name(p.name.replace("claim-", "seed-")): who for p, who in claims.items() if who is not None}


def has_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks. Without them two commands may make the same run."""
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
