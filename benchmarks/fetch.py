"""Official archives of image data sets: downloaded when the user asks, checked, unpacked whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from benchmarks.datasets import MD5, SOURCES
from benchmarks.errors import UserError, quoted, suggestion

TIMEOUT_SECONDS = 30.0  # without a byte from the server
CHUNK = 2**18  # bytes
STALE_SECONDS = 3600.0  # a temporary folder that nobody has written to for so long is a killed process's

Report = Callable[[str, int, int], None]  # what is done, bytes so far, bytes in all (0: nobody knows)


@dataclass(frozen=True)
class Archive:
    """A data set's official archive: where it is, and what is taken of it.

    The sums of the batches decide: an archive that somebody packed again is as good as the official one.
    """

    dataset: str
    url: str
    md5: str
    folder: str
    batches: Mapping[str, str]  # image files and their md5 sums; all are needed
    meta: Mapping[str, str]  # files that other programs read; left out where they are not the published ones
    size: int  # bytes
    unpacked: int  # bytes of batches and meta

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


ARCHIVES = {
    "cifar10": Archive(
        dataset="cifar10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder=SOURCES["cifar10"].folder,
        batches=MD5["cifar10"],
        meta={"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"},
        size=170_498_071,
        unpacked=187_000_000,
    ),
    "cifar100": Archive(
        dataset="cifar100",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder=SOURCES["cifar100"].folder,
        batches=MD5["cifar100"],
        meta={"meta": "7973b15100ade9c7d40fb424638fde48"},
        size=169_001_437,
        unpacked=187_000_000,
    ),
}


def archive_of(dataset: str) -> Archive:
    """UserError where there is none to be had."""
    if dataset not in ARCHIVES:
        raise UserError(f"no archive of {dataset!r}{suggestion(dataset, list(ARCHIVES))}")
    return ARCHIVES[dataset]


def fetch(archive: Archive, root: Path, source: str | None, report: Report) -> str:
    """Put a data set's folder into `root`, and say what is there now. It appears whole or not at all.

    `source` is a URL or a file to take in place of the official address. A folder that is right already stays; one
    that is damaged is moved aside when the new one is ready. `report` hears of the work. UserError where the
    archive cannot be had, is not the published one, or finds no room.
    """
    address = _address(archive, source)
    target = root if root.name == archive.folder else root / archive.folder
    needed = archive.unpacked + (0 if isinstance(address, Path) else archive.size)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent, report):
            faults = _faults(archive, target, report)
            whole = target if not faults else root if not _faults(archive, root, report) else None
            if whole is not None:
                return f"{whole}: {archive.dataset} is there, with the published md5 sums; nothing to do"
            if os.path.lexists(target):
                report(f"{target}: {', '.join(faults)}; the folder is replaced", 0, 0)
            _require_room(archive, target.parent, needed)
            prefix = f".{archive.folder}.fetch-"
            _remove_stale(target.parent, prefix)
            with TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
                return _fetch(archive, address, Path(temporary), target, report)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(archive, target.parent, needed, "the disk is full") from None
        where = error.filename or target.parent
        raise UserError(f"{where}: {error.strerror or error}; --data names another folder") from None


def _fetch(archive: Archive, address: str | Path, temporary: Path, target: Path, report: Report) -> str:
    """Download, unpack and check in a temporary folder, then rename."""
    file = address if isinstance(address, Path) else _download(archive, address, temporary, target.parent, report)
    report(f"checking {_shown(address)}", 0, 0)
    new, md5 = temporary / archive.folder, _md5(file)
    new.mkdir()
    try:
        sums = _unpack(archive, file, new, report)
        faults = [f"{name} is {'another' if name in sums else 'missing'}" for name in archive.batches
                  if sums.get(name) != archive.batches[name]]  # fmt: skip
        if faults:
            raise _Unfit(", ".join(faults))
    except _Unfit as error:
        raise UserError(
            f"{_shown(address)} is not {archive.dataset} as published: {error}\n"
            f"its md5 is {md5}, that of {archive.url} is {archive.md5}"
        ) from None
    for name in archive.meta:
        if sums.get(name) != archive.meta[name]:
            (new / name).unlink(missing_ok=True)
    text = f"{target}: {archive.dataset}, {len(archive.batches)} batches with the published md5 sums"
    if md5 != archive.md5:
        text += f", from another archive (md5 {md5})"
    if os.path.lexists(target) and not _faults(archive, target, report):
        return text  # where there are no locks somebody else may have been faster
    aside = _place(new, target)
    return f"{text}\nwhat was there is now {aside}" if aside else text


# ---------------------------------------------------------------------------------------- what is there


def _faults(archive: Archive, folder: Path, report: Report) -> list[str]:
    """What is wrong with an unpacked folder, a text for each batch."""
    faults = []
    for name, md5 in archive.batches.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
            continue
        report(f"comparing {folder} with the published md5 sums", 0, 0)
        if _md5(path) != md5:
            faults.append(f"{name} is damaged")
    return faults


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _place(new: Path, target: Path) -> Path | None:
    """Give a folder its name; what has that name already is moved aside: the name it has then."""
    try:
        new.rename(target)
        return None
    except OSError:
        if not os.path.lexists(target):
            raise
    aside = target.with_name(f"{target.name}.aside")
    for number in range(2, 1000):
        if not os.path.lexists(aside):
            break
        aside = target.with_name(f"{target.name}.aside-{number}")
    target.rename(aside)
    try:
        new.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    return aside


@contextmanager
def _alone(folder: Path, report: Report) -> Iterator[None]:
    """One fetch into a folder at a time. Where a file system has no locks several may work, each in a temporary
    folder of its own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another fetch into {folder}", 0, 0)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path, prefix: str) -> None:
    """Temporary folders of processes that were killed."""
    for old in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            latest = max(path.lstat().st_mtime for path in (old, *old.rglob("*")))
            if time.time() - latest > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


def _require_room(archive: Archive, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_room(archive, folder, needed, f"{_megabytes(free)} are free")


def _no_room(archive: Archive, folder: Path, needed: int, state: str) -> UserError:
    size, later = _megabytes(needed), _megabytes(archive.unpacked)
    return UserError(
        f"{archive.dataset} needs {size} in {folder} ({later} when it is unpacked), and {state}; make room, or name "
        "another folder with --data"
    )


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


# -------------------------------------------------------------------------------------------- download


def _address(archive: Archive, source: str | None) -> str | Path:
    """A URL to download, or a file; UserError for what is neither."""
    if source is None:
        return archive.url
    scheme, mark, _ = source.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return source + archive.name if source.endswith("/") else source
    if mark and scheme.lower() != "file":
        raise UserError(f"--url {source}: expected http://, https:// or a file")
    path = Path(url2pathname(urlsplit(source).path)) if mark else Path(source).expanduser()
    if path.is_dir():
        path /= archive.name
    if not path.is_file():
        raise UserError(f"--url {source}: no file {path}, and a URL begins with http:// or https://")
    return path


def _shown(address: str | Path) -> str:
    """An address for a message, without a password in it."""
    if isinstance(address, Path):
        return str(address)
    try:
        parts = urlsplit(address)
    except ValueError:
        return quoted(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class _Unfit(Exception):
    """What came is not the archive; the text says why."""


class _Incoming:
    """The file that pooch writes to, and the progress bar that it reports to; here the bytes are counted."""

    total = 0  # pooch sets it to what the server says, or 0

    def __init__(self, file: IO[bytes], most: int, report: Callable[[int, int], None]):
        self.file, self.most, self.report = file, most, report
        self.done = 0

    def write(self, data: bytes) -> None:
        self.done += len(data)
        if max(self.done, self.total) > self.most:
            raise _Unfit(f"more than {_megabytes(self.most)}")
        self.file.write(data)
        self.report(self.done, self.total)

    def flush(self) -> None: ...

    def update(self, count: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


def _download(archive: Archive, url: str, temporary: Path, folder: Path, report: Report) -> Path:
    """The file that is at a URL; UserError that says how to do without a network where it cannot be had."""
    what, path = f"downloading {_shown(url)}", temporary / "archive"
    report(what, 0, 0)
    import requests
    from pooch import HTTPDownloader

    most = 2 * archive.unpacked
    try:
        with path.open("wb") as file:
            incoming = _Incoming(file, most, lambda done, total: report(what, done, total))
            pull: Any = HTTPDownloader(
                progressbar=incoming,
                chunk_size=CHUNK,
                timeout=TIMEOUT_SECONDS,
                headers={"Accept-Encoding": "identity"},
            )
            pull(url, incoming, None)
    except (requests.RequestException, ValueError, _Unfit) as error:
        cut = isinstance(error, requests.exceptions.ChunkedEncodingError)
        reason = f"cut off after {_megabytes(incoming.done)}" if cut else _reason(error)
        what = "it" if url == archive.url else archive.url
        raise UserError(
            f"{archive.dataset}: cannot download {_shown(url)} ({reason}); download {what} elsewhere and give it with "
            f"--url FILE, or unpack it in {folder}"
        ) from None
    return path


def _reason(error: BaseException) -> str:
    """The first cause of an error of requests, in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server says {response.status_code} {response.reason}"
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, TimeoutError):
        return f"nothing came for {TIMEOUT_SECONDS:g} s"
    return str(getattr(error, "strerror", None) or error)[:200]


# ---------------------------------------------------------------------------------------------- unpack


class _Bounded:
    """A stream for tarfile that ends with _Unfit after so many bytes: a few packed ones can stand for any number."""

    def __init__(self, stream: IO[bytes], most: int):
        self.stream, self.left, self.most = stream, most, most

    def read(self, size: int) -> bytes:
        data = self.stream.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise _Unfit(f"more than {_megabytes(self.most)} when unpacked")
        return data


def _unpack(archive: Archive, file: Path, folder: Path, report: Report) -> dict[str, str]:
    """Write batches and meta of an archive (.tar.gz or .tar) as plain files; md5 sums of those that it has.

    Nothing else of the archive is written: no other names, no links, no more than such files can have. _Unfit where
    it cannot be read.
    """
    wanted: dict[tuple[str, ...], str] = {(archive.folder, name): name for name in (*archive.batches, *archive.meta)}
    sums: dict[str, str] = {}
    size = file.stat().st_size
    try:
        with file.open("rb") as packed:
            stream: Any = gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == b"\x1f\x8b" else packed
            bounded: Any = _Bounded(stream, 2 * archive.unpacked)
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for member in tar:
                    name = wanted.get(PurePosixPath(member.name).parts)
                    if name is None or name in sums:
                        continue
                    content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                    if content is None:
                        raise _Unfit(f"{member.name} is no regular file")
                    sums[name] = _write(content, folder / name, lambda: report("unpacking", packed.tell(), size))
    except EOFError:
        raise _Unfit("it ends too early") from None
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError, LookupError, RuntimeError) as error:
        raise _Unfit(f"no tar archive, or a damaged one ({error})") from None
    return sums


def _write(content: IO[bytes], path: Path, report: Callable[[], None]) -> str:
    """Copy a stream to a new file that is safe on the disk; its md5 sum."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("xb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
            report()
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
