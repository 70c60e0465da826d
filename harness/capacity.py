"""How many runs fit into the memory that is free: the default of `--workers`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

# Peak MB of a worker on a CPU, rounded up: gicso at smoke (457), at small (682) and paper (2,397),
# the last two from harness/README.md; multi-trial searchers, which load no torch, at most 250.
ONE_SHOT = {"smoke": 500, "small": 700, "paper": 2500}
MULTI_TRIAL = 300


def need(preset: str | None, images: bool) -> int:
    """MB of a run, with images as much as a supernet's; a preset that was not measured is taken for `small`."""
    return ONE_SHOT.get(preset or "small", ONE_SHOT["small"]) if images else MULTI_TRIAL


def fitting(cores: int, free: int | None, megabytes: int) -> tuple[int, str]:
    """Runs at a time, one at least, and what to say where memory allows fewer than there are cores.

    `free` is in MB, None where the system does not say; `megabytes` is a run's need.
    """
    if free is None or free // megabytes >= cores:
        return cores, ""
    workers = max(free // megabytes, 1)
    runs = "1 run" if workers == 1 else f"{workers} runs"
    reason = f"{free / 1000:.1f} GB of memory are free and a run needs about {megabytes / 1000:.1f} GB"
    return workers, f"{runs} at a time for {cores} cores: {reason}; --workers sets another number" if cores > 1 else ""


def free(root: Path = Path("/")) -> int | None:
    """MB that this process and its children can still have: of the machine, and of each control group around it."""
    amounts = []
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            amounts.append(int(line.split()[1]) * 1024)
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::/"):  # version 2
            path = PurePosixPath(line.removeprefix("0::/"))
            for group in (path, *path.parents):
                amounts += _left(root / "sys/fs/cgroup" / group)
    return min(amounts) // 2**20 if amounts else None


def _left(group: Path) -> list[int]:
    """Bytes until a control group's limit, if it has one; pages of files that it can drop count as free."""
    limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
    if not limit.isdigit() or not used.isdigit():
        return []
    lines = (line.split() for line in _text(group / "memory.stat").splitlines())
    droppable = sum(int(words[1]) for words in lines if words[0] == "inactive_file")
    return [max(int(limit) - int(used) + droppable, 0)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
