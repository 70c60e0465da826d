"""Images of a search, prepared once per machine and memory-mapped by all of its processes.

Each process would read, check, unpack and keep the same hundreds of megabytes, besides the copy that a search is
given. The cache is a file in the system's temporary folder, for its user alone; it belongs to source files of one size
and time of change, and its contents are checked against their checksum whenever they are opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from benchmarks.files import written_whole
from benchmarks.images import CropAndFlip, Images, checksum

FORMAT = 2  # raise it whenever the same source files give other images
Parts = tuple[Images, Images]


def cached(name: str, sources: Sequence[Path], make: Callable[[], Parts]) -> Parts:
    """The result of `make`, from this machine's cache as long as the source files are unchanged.

    Where no cache can be kept, `make` is called every time. `name` (cifar10-16-6400) begins the name of the cache's
    file, for people who look into the folder.
    """
    states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    key = hashlib.sha256(json.dumps([FORMAT, name, states]).encode()).hexdigest()[:16]
    folder = _own_folder()
    if folder is None:
        return make()
    path = folder / f"{name}-{key}.pt"
    parts = _open(path)
    if parts is not None:
        return parts
    with _alone(folder / f"{name}.lock"):  # the others wait for the first
        parts = _open(path)
        if parts is not None:
            return parts
        parts = make()
        try:
            _write(path, parts)
        except (OSError, RuntimeError):  # torch's own, on a full disk
            return parts
    return _open(path) or parts


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process of this machine in at a time; all at once where no lock file can be made."""
    with ExitStack() as stack:
        with suppress(OSError):
            file = stack.enter_context(open(path, "a", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _own_folder() -> Path | None:
    """A folder that only this user can read and write; None where it cannot be had."""
    folder = Path(tempfile.gettempdir()) / f"harness-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077
    return folder if private else None


def _write(path: Path, parts: Parts) -> None:
    content = [
        {
            "pixels": images.pixels,
            "labels": images.labels,
            "about": [list(images.mean), list(images.std)],
            "pad": images.augmentation.pad if isinstance(images.augmentation, CropAndFlip) else None,
            "sha256": checksum(images),
        }
        for images in parts
    ]
    with written_whole(path) as file:
        torch.save(content, file)
    for old in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.pt"):
        if old != path:
            old.unlink(missing_ok=True)  # of older source files; processes that have it mapped keep it
    for temporary in path.parent.glob("*.tmp"):
        if time.time() - temporary.stat().st_mtime > 3600:
            temporary.unlink(missing_ok=True)  # of a killed process


def _open(path: Path) -> Parts | None:
    try:
        first, second = (_images(entry) for entry in torch.load(path, mmap=True, weights_only=True))
    except Exception:  # missing, of another version, or damaged: it is made anew
        return None
    return first, second


def _images(entry: dict) -> Images:
    mean, std = entry["about"]
    crop = None if entry["pad"] is None else CropAndFlip(entry["pad"])
    images = Images(entry["pixels"], entry["labels"], tuple(mean), tuple(std), crop)
    if checksum(images) != entry["sha256"]:
        raise ValueError("damaged")
    return images
