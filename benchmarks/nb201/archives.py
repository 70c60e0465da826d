"""Reading official NATS-Bench and NAS-Bench-201 archives, a cell at a time, without running their code.

The layouts: a folder or a tar of one file a cell, which take constant memory, and one pickle of all cells (a
whole NATS-Bench file, a .pth of torch), which needs many times its size.
"""

from __future__ import annotations

import bz2
import gzip
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from benchmarks import safe_pickle
from benchmarks.errors import UserError, quoted
from benchmarks.files import bounded_memory
from benchmarks.nb201.file_check import check_order
from benchmarks.nb201.table_file import kind_of

#: One cell as read: official index, epochs -> `ArchResults` state (a dict), where it was read from.
CellResults = tuple[int, dict[int, Any], str]
META = "meta.pickle.pbz2"
_CELL_FILE = re.compile(r"(\d{1,6})\.pickle\.pbz2")
_SCHEDULES = {"12": 12, "200": 200, "less": 12, "full": 200}  # NATS-Bench and NAS-Bench-201 names
_PACKED, _UNPACKED = 16 * 2**20, 64 * 2**20  # bytes of one file; the real ones have 84 KB and 326 KB
_FIRST = 2**16  # bytes, unpacked, in which a file of all cells says what it is
_HEADERS = 64  # MB that the names in a tar may take
_TORCH_MAGIC, _TORCH_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # first two pickles of a pre-1.6 torch file

#: The kinds of `kind_of` that are official archives -> what a table says it came from.
LAYOUTS = {
    "nats-folder": "NATS-Bench topology folder",
    "nats-tar": "NATS-Bench topology tar",
    "nats-file": "NATS-Bench topology file",
    "pth": "NAS-Bench-201 file",
}
WHOLE = ("nats-file", "pth")  # one pickle of all cells
_FACTORS = {"nats-file": 24, "pth": 6}  # times its size: the memory that its objects take


def read_cells(place: Path, kind: str) -> Iterator[CellResults]:
    """The cells of an archive whose kind is one of LAYOUTS, in the order it is read in."""
    readers = {
        "nats-folder": _from_folder,
        "nats-tar": _from_tar,
        "nats-file": _from_whole,
        "pth": _from_whole,
    }
    return readers[kind](place)


def folder_files(place: Path) -> dict[int, Path]:
    """The cell files of a folder by index, in index order."""
    files: dict[int, Path] = {}
    for entry in place.iterdir():
        match = _CELL_FILE.fullmatch(entry.name)
        if match and entry.is_file():
            if int(match[1]) in files:
                raise UserError(f"{place}: cell {int(match[1])} is there twice, {entry.name} and another name")
            files[int(match[1])] = entry
    return dict(sorted(files.items()))


def _from_folder(place: Path) -> Iterator[CellResults]:
    if not (place / META).is_file():
        raise UserError(f"{place}: has no {META}; unpack the whole NATS-tss-v1_0-3ffb9-simple archive")
    check_meta(read_file(place / META), place / META)
    for index, file in folder_files(place).items():
        yield index, _schedules(read_file(file), file), str(file)


def read_file(file: Path) -> Any:
    """The object in a .pickle.pbz2 of an archive folder."""
    try:
        if file.stat().st_size > _PACKED:
            raise UserError(f"{file}: {file.stat().st_size >> 20} MB, too large for one cell of the archive")
        return _unpack(file.read_bytes(), str(file))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None


def _unpack(data: bytes, where: str) -> Any:
    """The object in the bytes of a .pickle.pbz2."""
    reader = bz2.BZ2Decompressor()
    try:
        unpacked = reader.decompress(data, _UNPACKED + 1)
    except OSError:
        raise UserError(f"{where}: not a bz2 file, or damaged; get it again") from None
    if len(unpacked) > _UNPACKED:
        raise UserError(f"{where}: unpacks to more than {_UNPACKED >> 20} MB; not a file of the archive")
    if not reader.eof:
        raise UserError(f"{where}: the file ends early (truncated); get it again")
    return safe_pickle.loads(unpacked, where, allowed=safe_pickle.ARCHIVE)


def _from_tar(place: Path) -> Iterator[CellResults]:
    """Stream a tar; nothing is unpacked to disk."""
    for index, data, where in _tar_cells(place):
        yield index, _schedules(_unpack(data, where), where), where


def _tar_cells(place: Path) -> Iterator[tuple[int, bytes, str]]:
    """Index, packed results and origin of the cells in a tar; names are matched by their last part only."""
    has_meta = False
    indices: set[int] = set()
    for name, data in tar_files(place):
        where = f"{place}: {name}"
        if name == META:
            check_meta(_unpack(data, where), where)
            has_meta = True
            continue
        index = int(name.split(".")[0])
        if index in indices:
            raise UserError(f"{where}: this cell is in the archive twice")
        indices.add(index)
        yield index, data, where
    if not has_meta:
        raise UserError(
            f"{place}: holds no {META}; not the NATS-Bench topology archive, or one piece of a split one "
            "(join the pieces with cat)"
        )


def tar_files(place: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the archive's own files in a tar, plain or gzipped, in the order of the tar."""
    early = f"{place}: the tar ends early: truncated, or one piece of a split archive; get it again or join "
    early += "the pieces (cat)"
    with _open_tar(place) as file:
        if isinstance(file, gzip.GzipFile) or _ends_well(place):
            try:
                with bounded_memory(_HEADERS):
                    archive = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115 - closed below
                with archive:
                    while (member := _next(archive)) is not None:
                        name = member.name.rsplit("/", 1)[-1]
                        ours = name == META or _CELL_FILE.fullmatch(name)
                        if not (member.isreg() and ours and wanted(name)):
                            continue
                        if member.size > _PACKED:
                            raise UserError(f"{place}: {name} has {member.size >> 20} MB, too large for one cell")
                        stored = archive.extractfile(member)
                        assert stored is not None  # it is a regular file
                        yield name, stored.read()
                while file.read(2**20):  # gzip notices a cut only at its end
                    pass
            except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
                raise UserError(f"{early} ({error})") from None
            except MemoryError:
                raise UserError(f"{place}: a file's name in it takes more than {_HEADERS} MB; damaged") from None
        else:
            raise UserError(early)


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    with bounded_memory(_HEADERS):
        return archive.next()


def _open_tar(place: Path) -> IO[bytes]:
    with open(place, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(place) if packed else open(place, "rb")  # type: ignore[return-value]


def _ends_well(place: Path) -> bool:
    """Whether a plain tar ends in its two empty blocks; checked first, since reading takes minutes."""
    with open(place, "rb") as file:
        file.seek(max(0, os.path.getsize(place) - 1024))
        return file.read() == bytes(1024)


def _from_whole(place: Path) -> Iterator[CellResults]:
    """A file that is one pickle of all cells; each cell is dropped once it has been read."""
    whole = read_whole(place)
    infos = whole["arch2infos"]
    for index in sorted(infos):
        where = f"{place}: cell {index}"
        yield index, _schedules(infos.pop(index), where), where


def sample(
    place: Path, kind: str, progress: Callable[[int], None] = lambda count: None
) -> tuple[int, CellResults] | None:
    """How many cells an archive has, and its first one; None for one pickle of all cells that is too large to read.

    `progress(count)` is called for every cell of a tar, which has to be read to its end. UserError where reading the
    whole archive is sure to fail, as far as a look can tell.
    """
    if kind == "nats-folder":
        count, cells = len(folder_files(place)), _from_folder(place)
    elif kind == "nats-tar":
        members = _tar_cells(place)
        first = [(i, _schedules(_unpack(data, where), where), where) for i, data, where in islice(members, 1)]
        count, cells = len(first), iter(first)
        for _ in members:
            count += 1
            progress(count)
    elif place.stat().st_size > _PACKED:
        _look(place, kind)
        return None
    else:
        count, cells = len(read_whole(place)["arch2infos"]), _from_whole(place)
    first_cell = next(cells, None)
    if first_cell is None:
        raise UserError(f"{place}: holds no cells; not a whole archive")
    return count, first_cell


def _look(place: Path, kind: str) -> None:
    """UserError where the first bytes of a large file are not those of all cells of the topology space."""
    _check_memory(place, _FACTORS[kind])
    try:
        if kind == "nats-file":
            with open(place, "rb") as file:
                head = bz2.BZ2Decompressor().decompress(file.read(2**21), _FIRST)
        elif zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
                with archive.open(name) as member:
                    head = member.read(_FIRST)
        else:
            with open(place, "rb") as file:
                head = file.read(_FIRST)
    except (zipfile.BadZipFile, StopIteration, OSError, RuntimeError) as error:
        raise UserError(f"{place}: truncated or damaged ({error}); get it again") from None
    if b"meta_archs" not in head and b"arch2infos" not in head:
        raise UserError(
            f"{place}: does not begin with meta_archs or arch2infos; not a NAS-Bench-201 or NATS-Bench file"
        )
    if b"~0|" not in head:
        raise size_space(place)


def read_whole(place: Path) -> dict[str, Any]:
    """The object in a file of all cells, its meta part checked."""
    packed = kind_of(place) == "nats-file"
    megabytes = _check_memory(place, _FACTORS["nats-file" if packed else "pth"])
    if packed:
        with bz2.open(place) as file:
            whole = safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE, megabytes=megabytes)
    elif zipfile.is_zipfile(place):
        whole = _torch_zip(place, megabytes)
    else:
        whole = _torch_legacy(place, megabytes)
    if isinstance(whole, dict) and {"full", "less"} & set(whole):
        raise UserError(f"{place}: one cell of an archive folder; convert NAS-Bench-201-v1_1-096897.pth instead")
    if not isinstance(whole, dict) or not isinstance(whole.get("arch2infos"), dict):
        raise UserError(f"{place}: holds no arch2infos; not a NAS-Bench-201 or NATS-Bench file")
    if not all(type(index) is int for index in whole["arch2infos"]):
        raise UserError(f"{place}: arch2infos is not keyed by cell index; not a NAS-Bench-201 file")
    check_meta(whole, place)
    return whole


def _torch_zip(place: Path, megabytes: int) -> Any:
    """torch >= 1.6: a zip with the pickle in <name>/data.pkl."""
    try:
        with zipfile.ZipFile(place) as archive:
            name = next((n for n in archive.namelist() if n.endswith("/data.pkl")), None)
            if name is None:
                raise UserError(f"{place}: a zip without data.pkl; expected NAS-Bench-201-v1_1-096897.pth")
            with archive.open(name) as file:
                return safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE, megabytes=megabytes)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:  # RuntimeError: encrypted, or packed unusually
        raise UserError(f"{place}: truncated or damaged ({error}); get it again") from None


def _torch_legacy(place: Path, megabytes: int) -> Any:
    """torch < 1.6: five pickles in a row: magic number, protocol, system, the object, keys of tensors."""
    with open(place, "rb") as file:
        start = [safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE)]
        if start != [_TORCH_MAGIC]:
            raise UserError(f"{place}: a pickle, but not a file of torch; expected NAS-Bench-201-v1_1-096897.pth")
        protocol, _, whole, _ = (
            safe_pickle.load(file, str(place), allowed=safe_pickle.ARCHIVE, megabytes=megabytes) for _ in range(4)
        )
    if protocol != _TORCH_PROTOCOL:
        raise UserError(f"{place}: torch file protocol {quoted(protocol)}, expected {_TORCH_PROTOCOL}")
    return whole


def _check_memory(place: Path, factor: int) -> int:
    """Megabytes to read a file with: one pickle becomes objects of `factor` times the file's size.

    UserError where so much is not free: what would be killed halfway is refused.
    """
    needed = factor * place.stat().st_size
    allowed = 512 + (2 * needed >> 20)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return allowed  # not Linux: a MemoryError is reported all the same
    if needed > max(free, 2**30):
        raise UserError(
            f"{place}: reading it takes about {needed / 1e9:.0f} GB of memory, {free / 1e9:.1f} GB are free; "
            "use a larger machine, or NATS-tss-v1_0-3ffb9-simple (same cells, read one by one)"
        )
    return allowed


# ---- checking


def check_meta(meta: Any, where: Any) -> None:
    """UserError unless an archive is of the topology space and in the official order."""
    archs = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(archs, (list, tuple)):
        raise UserError(f"{where}: holds no list meta_archs; not a NATS-Bench or NAS-Bench-201 file")
    if archs and isinstance(archs[0], str) and ":" in archs[0]:
        raise size_space(where)
    check_order(archs, where)


def size_space(where: Any) -> UserError:
    """The error to raise for an archive of the other space."""
    return UserError(f"{where}: of the size space (NATS-sss); this benchmark is the topology space (NATS-tss)")


def _schedules(stored: Any, where: Any) -> dict[int, Any]:
    """Epochs -> results of one cell, from what its file holds."""
    if not isinstance(stored, dict) or not stored:
        raise UserError(f"{where}: holds no results of a cell")
    if {"01", "90"} & set(stored):
        raise size_space(where)
    by_epochs = {_SCHEDULES[name]: results for name, results in stored.items() if name in _SCHEDULES}
    if not by_epochs:
        raise UserError(f"{where}: no results of 12 or 200 epochs; it has {', '.join(map(quoted, list(stored)[:9]))}")
    return by_epochs
