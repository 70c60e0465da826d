"""Every reader of files and texts, fed mutated input: each answer must be a value or our own clean error.

    python tests/faults/fuzz.py --inputs 100000 --out results/faults

Each reader runs in a process of its own with bounded memory and time; whatever else it raises, a crash, a hang or
memory out of proportion is a finding: reader, seed and the input's number make it again. Files with an inner form (zip,
gzip, bz2, our checksums) are also mutated inside it, so that the outer check does not keep everything out.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import json
import os
import pickle
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

import numpy as np  # noqa: E402

from benchmarks import safe_pickle  # noqa: E402
from benchmarks.errors import UserError  # noqa: E402

SECONDS = 20  # for one input
GROWTH_MB = 512  # of a reader's peak memory over what it has after the unharmed input
ADDRESS_SPACE = 8 * 2**30  # a bomb must not take the machine with it


class Reader(NamedTuple):
    seeds: Callable[[], list[bytes]]  # unharmed inputs
    read: Callable[[bytes, Path], object]  # the second is a folder for files
    weight: int  # share of the inputs
    inner: Callable[[bytes, random.Random], bytes] | None = None  # a mutation inside the outer form


# ------------------------------------------------------------------------------------------------- mutations

HOSTILE = [b"-1", b"9" * 30, b"1e999", b"nan", b"null", b"{}", b"[" * 2000, b"\0", b"\xff\xfe", b"../../x", b"/etc/x"]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """One to four of: flipped bit, changed byte, removed, repeated, swapped or random span, hostile word, cut."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        if not out:
            break
        place, span = draw.randrange(len(out)), draw.choice((1, 2, 4, 8, 64, 1024))
        match draw.randrange(9):
            case 0:
                out[place] ^= 1 << draw.randrange(8)
            case 1:
                out[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
            case 2:
                del out[place : place + span]
            case 3:
                out[place:place] = out[place : place + span]
            case 4:
                other = draw.randrange(len(out))
                out[place : place + span], out[other : other + span] = (
                    out[other : other + span],
                    out[place : place + span],
                )
            case 5:
                out[place : place + span] = draw.randbytes(span)
            case 6:
                out[place:place] = draw.choice(HOSTILE)
            case 7:
                numbers = list(re.finditer(rb"\d+", bytes(out[place : place + 4096])))
                if numbers:
                    found = draw.choice(numbers)
                    out[place + found.start() : place + found.end()] = draw.choice(HOSTILE)
            case 8:
                if draw.random() < 0.3:
                    del out[place:]
    return bytes(out)


def in_zip(data: bytes, draw: random.Random) -> bytes:
    """One member mutated, renamed, doubled or left out; packed again with right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    k = draw.randrange(len(members))
    name, content = members[k]
    match draw.randrange(8):
        case 0:
            members[k] = draw.choice((f"../{name}", f"/tmp/{name}", name + "x", members[0][0])), content
        case 1:
            del members[k]
        case 2:
            members[k] = name, content[: draw.randrange(len(content) + 1)]
        case 3:
            members[k] = name, draw.choice(members)[1]
        case _:
            head = draw.choice((len(content), 256))  # half of them in the head, which says shapes and types
            members[k] = name, mutate(content[:head], draw) + content[head:]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def in_bz2(data: bytes, draw: random.Random) -> bytes:
    return bz2.compress(mutate(bz2.decompress(data), draw), 1)


def in_gzip(data: bytes, draw: random.Random) -> bytes:
    return gzip.compress(mutate(gzip.decompress(data), draw), 1)


def in_checkpoint(data: bytes, draw: random.Random) -> bytes:
    inside = in_zip(data[:-32], draw) if draw.random() < 0.7 else mutate(data[:-32], draw)
    return inside + sha256(inside).digest()


def in_sealed(data: bytes, draw: random.Random) -> bytes:
    """A value of a record replaced, the record sealed again."""
    from harness import store

    value = json.loads(data)
    value.pop(store.DIGEST)
    where: object = value
    while isinstance(where, (dict, list)) and where:
        key = draw.choice(list(where) if isinstance(where, dict) else range(len(where)))
        if not isinstance(where[key], (dict, list)) or not where[key] or draw.random() < 0.3:
            if draw.random() < 0.2:
                del where[key]
            else:
                where[key] = draw.choice(
                    (None, True, -1, 1e300, float("nan"), "", "<b>", "../x", [], {}, [[]], {"a": {}}, 10**40)
                )
            break
        where = where[key]
    with tempfile.TemporaryDirectory() as folder:
        store.write_sealed(Path(folder) / "f", value)
        return (Path(folder) / "f").read_bytes()


def opcodes(data: bytes, draw: random.Random) -> bytes:
    """A pickle of random operations on hostile and harmless names."""
    import pickletools

    named = "os system,builtins eval,numpy dtype,numpy ndarray,collections OrderedDict,_codecs encode"
    named += ",numpy.core.multiarray _reconstruct,numpy.core.multiarray scalar"
    names = [name.replace(" ", "\n").encode() + b"\n" for name in named.split(",")]
    out = bytearray(b"\x80" + bytes([draw.randrange(6)]))
    for _ in range(draw.randint(1, 60)):
        operation = draw.choice(pickletools.opcodes)
        out += operation.code.encode("latin1")
        if operation.code in "ci":
            out += draw.choice(names)
        elif operation.arg is not None:
            size = operation.arg.n if operation.arg.n > 0 else 4
            out += draw.choice(
                (draw.randbytes(size), struct.pack("<q", draw.randrange(-8, 300))[:size], b"5\n", b"'x'\n")
            )
    return bytes(out) + b"."


# --------------------------------------------------------------------------------------------------- readers


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def reader(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return reader


def _written(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _cells() -> list[bytes]:
    from benchmarks.nb201 import cell as cells

    string = cells.to_string(cells.from_index(284))
    texts = [string, "284", "4,2,1,2,1,1", "naslib:4,0,3,1,4,3", f"'Structure(4 nodes with {string})';", "421211"]
    texts.append("[(('none', 0),), (('none', 0), ('none', 1)), (('none', 0), ('none', 1), ('none', 2))]")
    return [text.encode() for text in texts]


def _read_cell(data: bytes, folder: Path) -> object:
    from benchmarks.nb201 import cell as cells

    return cells.parse(data.decode("utf-8", "surrogateescape"))


def _specs() -> list[bytes]:
    return [b"gicso[population={12,24},diversity=0.5],darts[order=2]\x00gicso.diversity=0\x003,7,11\x001/3"]


def _read_spec(data: bytes, folder: Path) -> object:
    from harness import options, specs

    text, override, seeds, shard = (data.decode("utf-8", "surrogateescape") + "\0\0\0").split("\0")[:4]
    with suppress(UserError):
        specs.parse_specs(text, [override] if override else [])
    with suppress(UserError):
        specs.parse_seeds(seeds)
    return options._part(shard)


def _csv_cells() -> list[bytes]:
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    return [f"seed,cell,search_seconds,search_dataset\n0,{cell},12.5,cifar10\n1,284,,\n".encode()]


def _tables() -> list[bytes]:
    from support.archives import small_table

    from benchmarks.nb201.table_file import save_table

    return [_written(lambda path: save_table(small_table(), path), "t.npz")]


def _table_csv() -> list[bytes]:
    from support.archives import small_table

    from benchmarks.nb201 import csv_table
    from benchmarks.nb201.file_check import official_strings

    columns = ["index", "arch_str", "n_seeds", "c10_test_seed_labels_sure"]
    means = [*csv_table._CSV_MEANS, *csv_table._CSV_UNIONS]
    columns += [f"{p}_{k}" for p in means for k in ("acc_12ep", "acc", "acc_s777", "acc_s888", "acc_s999")]
    columns += [f"{n}_{k}" for n in csv_table._CSV_COSTS for k in ("params_M", "flops_M", "epoch_time_s")]
    values = small_table().column("cifar10-valid", "x-valid", 12).mean
    rows = [
        ",".join([str(i), text, "3", "1", *[f"{values[i]:.2f}"] * (len(columns) - 4)])
        for i, text in enumerate(official_strings())
    ]
    text = "\n".join([",".join(columns), *rows]) + "\n"
    return [gzip.compress(text.encode(), 1)]


def _official_cell() -> list[bytes]:
    from nats_bench import api_utils
    from support.archives import _state

    states = {"12": _state(api_utils, 9, 12), "200": _state(api_utils, 9, 200)}
    return [bz2.compress(pickle.dumps(states), 1)]


def _read_official_cell(path: Path) -> object:
    from benchmarks.nb201 import archives, official

    gathered = official._Collection()
    gathered.add(9, archives._schedules(archives.read_file(path), path), str(path))
    return gathered


def _tar() -> list[bytes]:
    found = []
    for mode in ("w", "w:gz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as archive:
            for name, content in (("a/meta.pickle.pbz2", b"m" * 900), ("a/000009.pickle.pbz2", b"c" * 900)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            link = tarfile.TarInfo("a/000010.pickle.pbz2")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        found.append(packed.getvalue())
    return found


def _read_tar(path: Path) -> object:
    from benchmarks.nb201 import archives

    return list(archives.tar_files(path))


def _whole() -> dict:
    from nats_bench import api_utils
    from support.archives import _state

    from benchmarks.nb201.file_check import official_strings

    infos = {9: {"less": _state(api_utils, 9, 12), "full": _state(api_utils, 9, 200)}}
    return {
        "meta_archs": list(official_strings()),
        "total_archs": 15_625,
        "evaluated_indexes": [9],
        "arch2infos": infos,
    }


def _pth() -> list[bytes]:
    import torch

    whole, found = _whole(), []
    for new in (True, False):
        file = io.BytesIO()
        torch.save(whole, file, _use_new_zipfile_serialization=new)
        found.append(file.getvalue())
    return found


def _nats_file() -> list[bytes]:
    return [bz2.compress(pickle.dumps(_whole()), 1)]


def _read_whole(path: Path) -> object:
    from benchmarks.nb201 import archives
    from benchmarks.nb201.table_file import kind_of

    kind_of(path)
    return archives.read_whole(path)


def _digits() -> list[bytes]:
    from benchmarks.digits201 import benchmark

    return [benchmark.FILE.read_bytes()]


def _read_digits(path: Path) -> object:
    from benchmarks.digits201 import benchmark

    return benchmark.load_counts(path)


def _image_batch() -> list[bytes]:
    content = {b"data": np.zeros((10, 3072), np.uint8), b"labels": list(range(10)), b"batch_label": b"training batch 1"}
    return [pickle.dumps(content, protocol) for protocol in (2, 4)]


def _splits() -> list[bytes]:
    halves = {
        part: ["int", [str(i) for i in range(start, start + 5000)]] for part, start in (("xvalid", 0), ("xtest", 5000))
    }
    return [json.dumps(halves).encode()]


def _read_splits(data: bytes, folder: Path) -> object:
    from benchmarks.nb201 import splits

    name, *form = splits.FILES["cifar100"]
    (folder / name).write_bytes(data)
    return splits.read_split(folder / name, *form)


def _record() -> list[bytes]:
    from support.campaigns import make_record

    from harness import store

    return [_written(lambda path: store.write_sealed(path, {"key": "0"} | make_record("random", 0, 90.0)), "r.json")]


def _read_record(data: bytes, folder: Path) -> object:
    from harness import store

    run = store.run_folder(folder, "random", 0)
    run.mkdir(parents=True, exist_ok=True)
    (run / "record.json").write_bytes(data)
    return store.load_record(run)


def _campaign() -> list[bytes]:
    from support.campaigns import make_campaign

    from harness import store

    return [_written(lambda path: store.write_sealed(path, make_campaign({"random": "multi-trial"}, [0, 1])), "c.json")]


def _read_campaign(data: bytes, folder: Path) -> object:
    from harness import store

    (folder / "campaign.json").write_bytes(data)
    return store.load_campaign(folder)


def _checkpoint() -> list[bytes]:
    import torch

    from harness import store

    state = {
        "weights": torch.arange(60.0).view(3, 4, 5),
        "velocity": [torch.zeros(2)],
        "lr": 0.1,
        "streams": {"a": "{}"},
    }
    return [store.checkpoint_bytes({"key": "k", "steps": 3, "trace": [10, "0"], "searcher": state, "task": {}})]


def _read_checkpoint(path: Path) -> object:
    from harness import store

    return store.read_checkpoint(path)


def _read_table(path: Path) -> object:
    from benchmarks.nb201.table_file import load_table

    return load_table(path)


def _read_imported(path: Path) -> object:
    from benchmarks.nb201 import space
    from harness import importing

    return importing.read_cells(path, "cifar10", space)


def _read_pickle(data: bytes, folder: Path) -> object:
    return safe_pickle.loads(data, "batch", encoding="bytes")


READERS = {
    "cell strings": Reader(_cells, _read_cell, 15),
    "specs, settings, seeds, shards": Reader(_specs, _read_spec, 10),
    "imported cells (CSV)": Reader(_csv_cells, _file("cells.csv", _read_imported), 10),
    "table (npz)": Reader(_tables, _file("t.npz", _read_table), 3, in_zip),
    "table (CSV, gzip)": Reader(_table_csv, _file("t.csv.gz", _read_table), 0, in_gzip),
    "NATS-Bench cell": Reader(_official_cell, _file("000009.pickle.pbz2", _read_official_cell), 5, in_bz2),
    "NATS-Bench tar": Reader(_tar, _file("t.tar", _read_tar), 10),
    "NATS-Bench file": Reader(_nats_file, _file("t.pickle.pbz2", _read_whole), 1, in_bz2),
    "NAS-Bench-201 pth": Reader(_pth, _file("t.pth", _read_whole), 2, in_zip),
    "digits201 counts (npz)": Reader(_digits, _file("d.npz", _read_digits), 4, in_zip),
    "image batches (pickle)": Reader(_image_batch, _read_pickle, 15, opcodes),
    "split files": Reader(_splits, _read_splits, 5),
    "records": Reader(_record, _read_record, 8, in_sealed),
    "campaign.json": Reader(_campaign, _read_campaign, 4, in_sealed),
    "checkpoints": Reader(_checkpoint, _file("checkpoint.pt", _read_checkpoint), 8, in_checkpoint),
}
LEAST = 200  # inputs of a reader that takes long


# ------------------------------------------------------------------------------------------------------- run


def feed(name: str, first: int, count: int, seed: int, folder: Path) -> dict:
    """One reader's inputs, in this process; `folder/now` holds the number of the input that is being read."""
    reader = READERS[name]
    seeds = reader.seeds()
    for data in seeds:
        reader.read(data, folder)  # unharmed: must be read
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    found = {"values": 0, "refused": 0, "findings": []}
    with open(folder / "now", "r+b" if (folder / "now").exists() else "w+b", buffering=0) as now:
        for number in range(first, count):
            now.seek(0)
            now.write(struct.pack("<q", number))
            data = input_of(name, seeds, number, seed)
            signal.alarm(SECONDS)
            try:
                reader.read(data, folder)
                found["values"] += 1
            except UserError as error:
                found["refused"] += 1
                if len(str(error)) > 2000 or str(error).count("\n") > 1:
                    found["findings"].append([number, f"a long error: {str(error)[:200]}"])
            except BaseException as error:
                found["findings"].append([number, f"{type(error).__name__}: {str(error)[:200]}"])
            signal.alarm(0)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024
    if growth > GROWTH_MB:
        found["findings"].append([-1, f"memory grew by {growth} MB"])
    return found | {"growth_mb": growth}


def input_of(name: str, seeds: list[bytes], number: int, seed: int) -> bytes:
    draw = random.Random(f"{seed}/{name}/{number}")
    data, inner = draw.choice(seeds), READERS[name].inner
    if inner is not None and draw.random() < 0.6:
        try:
            return inner(data, draw)
        except (zipfile.BadZipFile, NotImplementedError):  # a seed in another form: torch wrote no zip before 1.6
            return mutate(data, draw)
    return mutate(data, draw)


def fuzz(name: str, count: int, seed: int) -> dict:
    """One reader in child processes; a child that dies is a finding, and the next goes on after that input."""
    total: dict = {"inputs": count, "values": 0, "refused": 0, "growth_mb": 0, "findings": []}
    start, first = time.monotonic(), 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        while first < count:
            command = [sys.executable, __file__, "--child", name, str(first), str(count), str(seed), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                found = json.loads(done.stdout.splitlines()[-1])
                for key in ("values", "refused"):
                    total[key] += found[key]
                total["growth_mb"] = max(total["growth_mb"], found["growth_mb"])
                total["findings"] += found["findings"]
                break
            now = Path(folder) / "now"
            if not now.exists():
                raise SystemExit(f"{name}: the unharmed input was not read\n{done.stderr}")
            number = struct.unpack("<q", now.read_bytes())[0]
            total["findings"].append([number, f"the process ended with {done.returncode}: {done.stderr[-200:]}"])
            first = number + 1
    return total | {"seconds": round(time.monotonic() - start)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for fuzz.json")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        name, first, count, seed, folder = asked.child
        print(json.dumps(feed(name, int(first), int(count), int(seed), Path(folder))))
        return 0
    weights = sum(reader.weight for reader in READERS.values())
    results = {}
    for name, reader in READERS.items():
        results[name] = fuzz(name, max(-(-asked.inputs * reader.weight // weights), LEAST), asked.seed)
        print(name, json.dumps(results[name])[:2000], flush=True)
    findings = sum(len(found["findings"]) for found in results.values())
    inputs = sum(found["inputs"] for found in results.values())
    print(f"{inputs:,} inputs, {findings} findings")
    if asked.out is not None:
        from harness import provenance, store

        asked.out.mkdir(parents=True, exist_ok=True)
        about = {
            "command": " ".join(["python", *sys.argv]),
            "environment": provenance.environment("cpu", uses_torch=False),
        }
        store.write_json(asked.out / "fuzz.json", about | {"inputs": inputs, "findings": findings, "readers": results})
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
