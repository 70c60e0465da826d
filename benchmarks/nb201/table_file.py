"""The files of a table: told apart by their content, read and written whole.

Official archives are recognised here and converted by `benchmarks.nb201.official`; the CSV is read by
`benchmarks.nb201.csv_table`.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError
from benchmarks.files import damage, written_whole
from benchmarks.nb201.csv_table import load_csv
from benchmarks.nb201.table import Table, arrays_of, from_arrays
from benchmarks.nb201.table_check import check

SOURCES = (
    "a table (.npz) written by `harness data convert`, or the CSV of published values (nb201.csv.gz); "
    "official archives (NATS-tss-v1_0-3ffb9-simple, NAS-Bench-201-v1_1-096897.pth) are read by "
    "`harness data convert`"
)

_FORMAT = "nb201-table-1"


def load_table(path: str | os.PathLike[str]) -> Table:
    """A table from our .npz (its checksum is verified) or from the CSV, plain or gzipped.

    Raises UserError for everything else: official archives (naming the command that converts them), missing,
    damaged or foreign files, values that `table_check` refuses.
    """
    place = Path(path)
    kind = kind_of(place)
    if kind == "table":
        table = _load_npz(place)
    elif kind == "csv":
        table = load_csv(place)
    elif kind == "counts":
        raise UserError(f"{place}: {KINDS[kind]}, which is a benchmark of its own: --benchmark digits201")
    else:
        command = f"harness data convert {shlex.quote(str(place))}"
        raise UserError(f"{place}: {KINDS[kind]}; convert it once: {command}")
    check(table, place)
    return table


def save_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table as .npz, atomically; UserError where the place cannot be written."""
    meta = json.dumps({"format": _FORMAT, "sha256": table.sha256, "source": table.source})
    write_npz(Path(path), meta=np.array(meta), **arrays_of(table))


def write_npz(place: Path, **arrays: np.ndarray) -> None:
    """Write arrays atomically: a kill leaves the file before or the file after. UserError where it cannot be."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(place) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"{place}: cannot write the table ({error.strerror or error})") from None


KINDS = {
    "table": "a table of this program",
    "csv": "a CSV of published values",
    "counts": "a table of digits201",
    "nats-folder": "a NATS-Bench topology folder",
    "nats-tar": "a tar file, read as a NATS-Bench topology archive",
    "nats-file": "a bz2 file, read as a whole NATS-Bench archive",
    "pth": "a NAS-Bench-201 .pth file",
}


def kind_of(path: Path) -> str:
    """What a path is by its content, a key of KINDS; UserError for what is none of them.

    Reads the first kilobytes of a file and the list of a zip, and nothing of what may have no end or never begin.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _kind_of_folder(path)
        if not stat.S_ISREG(status.st_mode):
            what = next((name for name, is_it in _NO_FILES.items() if is_it(status.st_mode)), "no file")
            raise UserError(f"{path}: {what}; expected {SOURCES}")
        if not status.st_size:  # as what the kernel writes while it is read
            raise UserError(f"{path}: an empty file; expected {SOURCES}")
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file or folder; expected {SOURCES}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if head[:2] == b"\x1f\x8b":
        with damage(path, "gzip file"):
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    if head[:4] == b"PK\x03\x04":
        return _kind_of_zip(path)
    if head[257:262] == b"ustar":
        return "nats-tar"
    if head[:3] == b"BZh":
        return "nats-file"
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":  # a pickle and its protocol
        return "pth"
    first_line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if b"arch_str" in first_line and b"," in first_line:
        return "csv"
    hint = "; the pieces of a split archive must be joined first (cat)" if ".tar" in path.name else ""
    raise UserError(f"{path}: not a benchmark file{hint}; expected {SOURCES}")


_HEAD = 2**16  # bytes that tell what a file is
_NO_FILES = {
    "a pipe": stat.S_ISFIFO,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a socket": stat.S_ISSOCK,
}


def _kind_of_folder(path: Path) -> str:
    for entry in os.scandir(path):
        if entry.name.endswith(".pickle.pbz2"):
            return "nats-folder"
    raise UserError(f"{path}: a folder without NATS-Bench files (meta.pickle.pbz2, …); expected {SOURCES}")


def _kind_of_zip(path: Path) -> str:
    with damage(path, "zip file"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/data.pkl") for name in names):
        return "pth"
    if "meta.npy" in names and any(name.startswith("accuracy/") for name in names):
        return "table"
    if {"right.npy", "class_of.npy"} <= set(names):
        return "counts"
    found = ", ".join(name.removesuffix(".npy") for name in names[:3])
    raise UserError(f"{path}: an .npz or zip of something else (it holds {found}, …); expected {SOURCES}")


def _load_npz(path: Path) -> Table:
    with damage(path, "table"), np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
            raise UserError(
                f"{path}: table format {meta.get('format')!r}, this program reads {_FORMAT!r}; "
                "convert the source again: harness data convert SRC"
            )
        arrays = {name: archive[name] for name in archive.files if name != "meta"}
        table = from_arrays(arrays, meta["source"])
        if table.sha256 != meta["sha256"]:
            raise UserError(
                f"{path}: the contents do not match the stored checksum; convert the source again: "
                "harness data convert SRC"
            )
    return table
