"""Files that are read within bounds, since they may be hostile, and written whole or not at all."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.errors import UserError


def read_at_most(path: Path, megabytes: int) -> bytes:
    """The bytes of a file; UserError where it is larger than such a file can be."""
    size, most = path.stat().st_size, megabytes * 2**20
    with path.open("rb") as file:  # what has no size, a device or a pipe, may have no end
        data = b"" if size > most else file.read() if path.is_file() else file.read(most + 1)
    if max(size, len(data)) > most:
        raise UserError(f"{path}: more than such a file can have ({megabytes:,} MB)")
    return data


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at the end: a reader, also after a kill or a power cut, sees the
    old file or the new one."""
    temporary = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def bounded_memory(megabytes: int) -> Iterator[None]:
    """What is read inside may take that much more address space: beyond it, MemoryError (Linux; elsewhere no bound).

    A few bytes of a hostile file can ask for any amount of memory.
    """
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = used + megabytes * 2**20
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


_MEGABYTES = 512  # that reading a table may take


@contextmanager
def damage(path: Path, what: str) -> Iterator[None]:
    """Turn any error while reading a file into a UserError of one line; also limits the memory that reading takes."""
    try:
        with bounded_memory(_MEGABYTES):
            yield
    except UserError:
        raise
    except Exception as error:  # gzip, zipfile, numpy, json and csv raise anything on altered files
        reason = " ".join(str(error).split())  # numpy's have several lines
        raise UserError(f"{path}: a truncated or damaged {what} ({reason}); copy or convert it again") from None
