"""Campaigns of all searchers under faults: killed, stopped, starved of disk and memory, their files damaged.

    python tests/faults/campaigns.py --faults 200 --out results/faults -- --table TABLE --data DIR

What follows `--` goes to `harness run`. A campaign is disturbed until it is done, the same command given again after
each fault, and must end with the records of an undisturbed one, times aside; no finished run may be lost or made again,
unless its own files were damaged. As root all happens on a small tmpfs, which can be filled.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from support.records import records, timeless  # noqa: E402

from benchmarks.errors import UserError  # noqa: E402
from harness import provenance, store  # noqa: E402
from searchers import catalogue  # noqa: E402

SPAN_SECONDS = 6.0  # a command is disturbed within this time, so that all searches have their share
STOPPED_SECONDS = 2.0  # within which SIGTERM and Ctrl-C end everything
GONE_SECONDS = 3.0  # within which a killed command's workers are gone
KINDS = {
    "SIGKILL": 30,
    "SIGKILL of a worker": 2,
    "SIGTERM": 3,
    "SIGINT": 3,
    "hanging worker": 2,
    "out of memory": 2,
    "failing writes": 2,
    "full disk": 2,
    "SIGKILL, then a truncated file": 4,
    "SIGKILL, then a flipped bit": 4,
    "SIGKILL, then a removed folder": 3,
    "damaged table": 1,
    "damaged images": 1,
}
SHORTER = {"enas": "updates=4", "cmaes": "generations=20"}  # a step of these would take most of the time
FILES = ("record.json", "trace.jsonl", "checkpoint.pt", "campaign.json")


class Broken(Exception):
    """A fault was not survived."""


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Broken(what)


class Campaign:
    """One campaign's folder, the command that makes it, and what must still be there."""

    def __init__(self, folder: Path, searchers: list[str], more: list[str], seed: int):
        self.out = folder / "campaign"
        self.folder = folder
        self.table, self.images = None, None
        if "--table" in more and "--data" in more:  # links to NAS-Bench-201's files, so that they can be damaged
            table, data = (Path(more[more.index(option) + 1]).resolve() for option in ("--table", "--data"))
            splits = next(place / "splits" for place in (data, table.parent.parent) if (place / "splits").is_dir())
            for target in (table, *splits.iterdir(), *(data / "cifar-10-batches-py").iterdir()):
                link = folder / "data" / target.parent.name / target.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)
            self.table = folder / "data" / table.parent.name / table.name
            self.images = folder / "data" / "cifar-10-batches-py" / "data_batch_1"
            more = ["--table", str(self.table), "--data", str(folder / "data")]
        program = [sys.executable, "-c", "from harness.cli import main; main()"]
        arguments = ["--preset", "smoke", "--searchers", ",".join(searchers), "--seeds", "1", "--workers", "2"]
        for name, setting in SHORTER.items():
            arguments += ["--set", f"{name}.{setting}"] if name in searchers else []
        self.command = [*program, "run", *arguments, "--out", str(self.out), *more]
        self.random = random.Random(seed)
        self.finished: dict[Path, bytes] = {}
        self.damaged: dict[Path, bytes] = {}  # records that we damaged, as long as they lie there
        self.hurt: dict[Path, bytes] = {}  # all that we damaged and that must be found in aside/ at the end
        self.said = ""
        self.talk = tempfile.TemporaryDirectory(prefix="said")  # not on the disk that is filled; goes with the campaign
        self.told, self.mark = Path(self.talk.name) / "said", Path(self.talk.name) / "mark"

    def start(self, fault: str = "none:0") -> subprocess.Popen[str]:
        paths = [str(HERE / "injected"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "FAULT": fault,
            "FAULT_MARK": str(self.mark),
            "PYTHONFAULTHANDLER": "1",
        }
        self.mark.unlink(missing_ok=True)
        pipe = open(self.told, "w+", encoding="utf-8")  # noqa: SIM115 - a pipe might fill and block
        self.stderr = pipe
        return subprocess.Popen(
            self.command,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=pipe,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )

    def wait_for(self, text: str, process: subprocess.Popen[str]) -> None:
        """Until a command has said that, or is over."""
        while process.poll() is None and text not in self.told.read_text(encoding="utf-8"):
            time.sleep(0.02)

    def end(self, process: subprocess.Popen[str], seconds: float, killed: bool = False) -> int:
        """Wait for a command and all its workers to end, without a traceback.

        A worker that is just being started when its command is killed has one of Python's own.
        """
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler writes where it is
            process.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            said = self.told.read_text(encoding="utf-8")
            where = said.partition("Extension modules")[0]
            raise Broken(f"still there after {seconds:.0f} s\n{where[-3000:]}") from None
        limit = time.monotonic() + GONE_SECONDS
        while _alive(process.pid):
            expect(time.monotonic() < limit, "workers outlived their command")
            time.sleep(0.02)
        self.stderr.seek(0)
        self.said = self.stderr.read()
        self.stderr.close()
        expect(killed or "Traceback" not in self.said, f"a traceback:\n{self.said}")
        return code

    def look(self) -> None:
        """Finished runs are still there, bit for bit, and every record is whole."""
        found = {path: path.read_bytes() for path in self.out.glob("runs/*/*/record.json")}
        for path, data in self.finished.items():
            expect(found.get(path) == data, f"{path}: a finished run was lost or made again")
        self.damaged = {path: data for path, data in self.damaged.items() if found.get(path) == data}
        whole = {}
        for path in found.keys() - self.damaged.keys():
            try:
                whole[path] = store.load_record(path.parent)
            except UserError as error:
                raise Broken(f"a record is damaged: {error}") from None
        self.finished = {path: found[path] for path, record in whole.items() if record is not None and record.finished}

    def forget(self, path: Path) -> None:
        """What is at or under this path was damaged by us."""
        self.hurt = {p: d for p, d in self.hurt.items() if path not in p.parents}  # went with its folder
        self.finished = {p: d for p, d in self.finished.items() if p != path and path not in p.parents}


def _alive(group: int) -> bool:
    """Whether any process of this session is running."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            return True
    return False


def _children(pid: int) -> list[int]:
    try:
        return [int(k) for k in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def disturb(kind: str, campaign: Campaign, usual: float) -> bool:
    """One fault of a kind; whether it hit: the command was at work, or the fault did come. Broken where something is
    not as it must be."""
    draw = campaign.random
    delay = draw.uniform(0, min(usual, SPAN_SECONDS))
    if kind in ("damaged table", "damaged images"):
        _damage_input(campaign.table if kind == "damaged table" else campaign.images, campaign)
        return True
    if kind in ("out of memory", "failing writes"):
        name = {"out of memory": "memory", "failing writes": "write"}[kind]
        process = campaign.start(f"{name}:{draw.randint(1, 12)}")
        campaign.end(process, 20 * usual + 60)
        campaign.look()
        return campaign.mark.exists()
    process = campaign.start(f"hang:{draw.randint(1, 6)}" if kind == "hanging worker" else "none:0")
    campaign.wait_for("to do ->", process)
    time.sleep(SPAN_SECONDS if kind == "hanging worker" else delay)
    hit = process.poll() is None
    if kind == "full disk":
        expect(
            os.path.ismount(campaign.folder.parent), "the small file system is gone: the machine's own would be filled"
        )
        filler = campaign.folder / "filler"
        with open(filler, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        try:
            campaign.end(process, 20 * usual + 60)
        finally:
            filler.unlink()
    elif kind == "SIGKILL of a worker":
        workers = _children(process.pid)
        hit = hit and len(workers) > 0
        for worker in workers[-1:]:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        campaign.end(process, 20 * usual + 60)
    elif kind in ("SIGTERM", "SIGINT", "hanging worker"):
        if kind == "hanging worker":
            hit = hit and campaign.mark.exists()
        if process.poll() is None:
            process.send_signal(signal.SIGINT if kind == "SIGINT" else signal.SIGTERM)
            campaign.end(process, STOPPED_SECONDS)
        else:
            campaign.end(process, 1)
    else:
        process.kill()
        campaign.end(process, 5, killed=True)
    campaign.look()
    if kind.endswith(("truncated file", "flipped bit")):
        hit = _damage(kind, campaign) and hit
    if kind.endswith("removed folder"):
        folders = [*campaign.out.glob("runs/*/seed-*"), *campaign.out.glob("runs/*"), *campaign.out.glob("report")]
        if folders:
            gone = draw.choice(sorted(folders))
            campaign.forget(gone)
            shutil.rmtree(gone)
    return hit


def _damage(kind: str, campaign: Campaign) -> bool:
    name = campaign.random.choice(FILES)
    paths = sorted(campaign.out.rglob(name))
    paths = [path for path in paths if "aside" not in path.parts] or sorted(campaign.out.glob("campaign.json"))
    if not paths:
        return False
    path = campaign.random.choice(paths)
    data = path.read_bytes()
    if not data:
        return False
    place = campaign.random.randrange(len(data))
    flipped = data[:place] + bytes([data[place] ^ 1 << campaign.random.randrange(8)]) + data[place + 1 :]
    path.write_bytes(data[:place] if kind.endswith("truncated file") else flipped)
    finished = path.with_name("record.json") in campaign.finished
    campaign.forget(path)
    if path.name == "record.json":
        campaign.damaged[path] = path.read_bytes()
    elif path.name == "trace.jsonl" and finished:
        campaign.forget(path.with_name("record.json"))
    # Of an unfinished run's trace a part may be lost that no checkpoint knows; all else must be noticed.
    if path.name != "trace.jsonl" or finished:
        campaign.hurt[path] = path.read_bytes()
    return True


def _damage_input(path: Path | None, campaign: Campaign) -> None:
    """The table or an image file with one byte flipped: named, exit code 2, nothing changed."""
    if path is None:
        return
    link = path.readlink() if path.is_symlink() else None
    data = bytearray(path.read_bytes())
    data[campaign.random.randrange(len(data))] ^= 64
    before = {p: p.stat().st_mtime_ns for p in campaign.out.rglob("*") if p.is_file()}
    good = path.with_name(path.name + ".good")
    path.rename(good)
    path.write_bytes(data)
    code = campaign.end(campaign.start(), 60)
    good.replace(path) if link is None else (path.unlink(), good.rename(path))
    expect(code == 2, f"exit code {code} with a damaged {path.name}")
    expect(path.name in campaign.said, f"{path.name} is not named: {campaign.said}")
    after = {p: p.stat().st_mtime_ns for p in campaign.out.rglob("*") if p.is_file()}
    expect(before == after, "the campaign's files were touched")


@contextmanager
def place(megabytes: int = 96):
    """A folder, and whether it is a file system of its own that may be filled."""
    with tempfile.TemporaryDirectory(prefix="faults ü ") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", name]
        own = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield Path(name), own
        finally:
            if own:
                subprocess.run(["umount", "--lazy", name], check=True)


def disturbed(
    faults: int, searchers: list[str], more: list[str], seed: int, say=print, keep=lambda survived, broken: None
) -> tuple[Counter, list[str]]:
    """That many faults: how many of each kind were survived, what went wrong; `keep` gets both after each campaign."""
    survived: Counter[str] = Counter()
    broken: list[str] = []
    with place() as (root, own):
        first = Campaign(_fresh(root), searchers, more, seed)
        start = time.monotonic()
        code = first.end(first.start(), 3600)
        usual = time.monotonic() - start
        expect(code == 0, f"the undisturbed campaign failed:\n{first.said}")
        reference = {key: timeless(record) for key, record in records(first.out).items()}
        say(f"undisturbed: {len(reference)} runs in {usual:.0f} s")
        kinds = {kind: weight for kind, weight in KINDS.items() if own or kind != "full disk"}
        if first.table is None:
            kinds = {kind: weight for kind, weight in kinds.items() if not kind.startswith("damaged")}
        chooser = random.Random(seed)
        done = 0
        while done < faults:
            campaign = Campaign(_fresh(root), searchers, more, seed + done)
            suffered: list[str] = []
            tried: list[str] = []
            try:
                while len(suffered) < faults - done and len(campaign.finished) < len(reference):
                    (kind,) = chooser.choices(list(kinds), list(kinds.values()))
                    if kind == "hanging worker" and len(reference) - len(campaign.finished) < 3:
                        kind = "SIGKILL"  # the last runs are made by the command itself, which would hang
                    tried.append(kind)
                    if disturb(kind, campaign, usual):
                        suffered.append(kind)
                code = campaign.end(campaign.start(), 3600)
                expect(code == 0, f"exit code {code} when left alone:\n{campaign.said}")
                campaign.look()
                found = {key: timeless(record) for key, record in records(campaign.out).items()}
                wrong = [key for key in reference if found.get(key) != reference[key]]
                expect(not wrong, f"other records than the undisturbed ones: {wrong}")
                expect(not list(campaign.out.glob("runs/*/claim-*")), "claims were left")
                aside = {p.read_bytes() for p in campaign.out.glob("aside/**/*") if p.is_file()}
                lost = [str(path) for path, data in campaign.hurt.items() if data not in aside]
                expect(not lost, f"damaged and not set aside: {', '.join(lost)}")
                survived.update(suffered)
            except Broken as error:
                broken.append(f"after {', '.join(tried)}: {error}")
                say(broken[-1])
            done += max(len(suffered), 1)
            keep(survived, broken)
            say(f"{done} faults, {survived.total()} survived")
    return survived, broken


def _fresh(root: Path) -> Path:
    for old in root.iterdir():
        shutil.rmtree(old)
    folder = root / f"{time.monotonic_ns()}"
    folder.mkdir()
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--searchers", default=",".join(catalogue.names()))
    parser.add_argument("--out", type=Path, help="folder for faults.json")
    parser.add_argument("more", nargs="*", help="for harness run, after --")
    asked = parser.parse_args()
    start = time.monotonic()

    def keep(survived: Counter, broken: list[str]) -> None:
        result = {
            "command": " ".join(["python", *sys.argv]),
            "environment": provenance.environment("cpu", uses_torch=False),
            "searchers": asked.searchers.split(","),
            "survived": dict(sorted(survived.items())),
            "total": survived.total(),
            "broken": broken,
            "seconds": round(time.monotonic() - start),
        }
        if asked.out is not None:
            asked.out.mkdir(parents=True, exist_ok=True)
            store.write_json(asked.out / "faults.json", result)

    def say(text: str) -> None:
        print(text, flush=True)

    survived, broken = disturbed(asked.faults, asked.searchers.split(","), asked.more, asked.seed, say, keep)
    print(f"survived: {dict(survived)}; not: {len(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
