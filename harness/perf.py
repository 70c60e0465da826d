"""`harness perf`: how fast the supernets are here, as ratios to plain ones measured in the same run.

Each case is run in turn by the plain network (one module per edge and operation, NCHW, eager, fp32, trained as the
reference's scripts do it) and by ours in fp32 and bf16; ratios are taken round by round and their median is given, so
that a drift of the machine's speed favours neither. The hardware's limits are measured beside them: convolution
throughput and memory bandwidth. Then follows the rest of the program: the peak memory of a run, table look-ups,
multi-trial runs a second, and what a one-shot run costs beside its search.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks import registry
from benchmarks.base import Benchmark
from benchmarks.errors import UserError
from benchmarks.processes import process_pool, start_worker
from benchmarks.processor import cpu_has_bf16
from harness import campaign, diagnostics, options, provenance, runner, store
from harness.perf_steps import BATCH, PRECISIONS, Run, described, networks, sides, synthetic_task
from harness.schema import Record
from harness.specs import parse_specs
from searchers import base, catalogue

SUPERNET = registry.find(next(iter(registry.BENCHMARKS)))  # the benchmark whose table is measured: the first
# What a run's memory is measured with: a gradient searcher, and one that scores whole swarms, in its first epoch here.
RUNS: dict[str, dict[str, Any]] = {"darts": {}, "gicso": {"warmup": 0.0}}


def seconds(run: Run, device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def best(run: Run, device: str, rounds: int = 7) -> float:
    """The shortest of a few runs after one that does not count: for ceilings."""
    seconds(run, device)
    return min(seconds(run, device) for _ in range(rounds))


class Work(TorchDispatchMode):
    """FLOPs of convolutions and matrix products, by PyTorch's formulas, and the bytes that operations read and write,
    views left out: what would move if nothing stayed in a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [t for t in tree_leaves((args, kwargs or {}, out)) if isinstance(t, Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def work(run: Run, rounds: int = 1) -> tuple[float, float]:
    """(FLOPs, bytes) of one call: means over `rounds` calls."""
    with Work() as total:
        for _ in range(rounds):
            run()
    return total.flops / rounds, total.bytes / rounds


def ceilings(device: str) -> dict[str, float]:
    """The limits of the hardware: the fastest 3×3 convolution of the paper network, and a large addition."""
    limits: dict[str, float] = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rates = []
        for c, size in ((16, 32), (32, 16), (64, 8)):
            x = torch.randn(BATCH, c, size, size, device=device).to(dtype, memory_format=torch.channels_last)
            w = torch.randn(3 * c, c, 3, 3, device=device).to(dtype, memory_format=torch.channels_last)
            flops = 2 * BATCH * size * size * 9 * c * 3 * c
            rates.append(flops / best(lambda x=x, w=w: torch.conv2d(x, w, padding=1), device))  # type: ignore[misc]
        limits[f"convolution {name}, GFLOP/s"] = max(rates) / 1e9
    a, b = (torch.randn(2**24, device=device) for _ in range(2))
    out = torch.empty_like(a)
    limits["bandwidth, GB/s"] = 3 * a.numel() * 4 / best(lambda: torch.add(a, b, out=out), device) / 1e9
    return limits


def measure_network(name: str, device: str, rounds: int) -> list[dict[str, Any]]:
    """One row per case and precision of one network."""
    network = networks(device)[name]
    # What a step computes is counted on the CPU, since inside a replayed graph nothing can be seen. (There pooling is a
    # convolution and a product: some 1 % more FLOPs and 4 % more bytes than on a GPU.)
    timed, on_cpu = sides(network, device), sides(network, "cpu")
    rows = []
    for case, runs in timed.items():
        times: dict[str, list[float]] = {side: [] for side in runs}
        for k in range(rounds + 1):  # the first round warms up
            for side, run in runs.items():
                time_of_run = seconds(run, device)
                if k:
                    times[side].append(time_of_run)
        for precision in PRECISIONS:
            ratios = [a / b for a, b in zip(times["plain"], times[precision], strict=True)]
            on_cpu[case][precision]()  # warms up too: every one-hot step runs through another cell
            flops, traffic = work(on_cpu[case][precision], rounds)
            median = statistics.median(times[precision])
            rows.append(
                {
                    "network": name,
                    "case": case,
                    "precision": precision,
                    "plain_ms": statistics.median(times["plain"]) * 1e3,
                    "ours_ms": median * 1e3,
                    "ratio": statistics.median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "gflops_per_second": flops / median / 1e9,
                    "gbytes_per_second": traffic / median / 1e9,
                }
            )
    return rows


def measure_table(table: Path | None) -> dict[str, float]:
    """Opening a table (None: the embedded one), in a process that has not opened it, and one look-up."""
    with process_pool(1, start_worker) as pool:
        open_seconds = pool.submit(_open_seconds, table).result()
    bench = SUPERNET.open(table, ())
    rng, dataset = np.random.default_rng(0), bench.datasets[0]
    cells = [bench.space.sample(rng) for _ in range(10_000)]
    return {
        "open, s": open_seconds,
        "look-up, µs": best(lambda: [bench.score(cell, dataset, "test") for cell in cells], "cpu") / len(cells) * 1e6,
    }


def _open_seconds(table: Path | None) -> float:
    start = time.perf_counter()
    SUPERNET.open(table, ())
    return time.perf_counter() - start


def timed_runs(
    bench: Benchmark, table: Path | None, text: str, seeds: range, device: str
) -> tuple[list[Record], float]:
    """Records of runs of the small preset in this process, and the seconds that they took, records written and all."""
    preset = options.resolve_preset(bench, "small")
    setting = options.Setting(bench, table, (), bench.datasets[0], preset, "fp32", device, torch.get_num_threads())
    plans = campaign.plans(setting, parse_specs(text), seeds)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        results = [runner.run(plan, store.run_folder(Path(folder), plan.label, plan.seed)) for plan in plans]
        total = time.perf_counter() - start
    records = [record for record in results if record is not None]
    for record in records:
        if not record.finished:
            raise UserError(f"{record.spec} failed: {record.error}")
    return records, total


def measure_campaign(bench: Benchmark, table: Path | None, seeds: int = 20) -> dict[str, float]:
    """Multi-trial runs a second."""
    records, total = timed_runs(bench, table, "random,evolution", range(seeds), "cpu")
    search_seconds = sum(record.search_seconds or 0.0 for record in records)
    return {"runs a second": len(records) / total, "of it inside the searcher, %": 100 * search_seconds / total}


def measure_search(device: str) -> dict[str, float]:
    """One G-ICSO-NAS search on an embedded benchmark: what it costs beside the searcher's own steps."""
    embedded = next(entry for entry in map(registry.find, registry.names()) if not entry.takes_table)
    (record,), total = timed_runs(embedded.open(None, ()), None, "gicso", range(1), device)
    search_seconds, query_seconds = record.search_seconds, record.one_shot and record.one_shot.seconds
    assert search_seconds
    assert query_seconds
    return {
        "inside the searcher, s": search_seconds,
        "supernet-table correlation afterwards, s": query_seconds,
        "all else, % of the search": 100 * (total - search_seconds - query_seconds) / search_seconds,
    }


def peak_memory(name: str, searcher: str, device: str, threads: int) -> dict[str, float]:
    """Peak memory in MB of this process after the parts of a run at this preset that need the most memory.

    These are: holding the preset's images, a step of the search that trains on two batches, and scoring cells on the
    images of the comparison with the table, which ends every run.
    """
    torch.set_num_threads(threads)
    network = networks(device)[name]
    task = synthetic_task(network, device, "fp32", network.preset.images or 25_000)
    assert task.train is not None
    task.valid = task.train.clone()
    images, task.train = task.train, task.train.subset(range(2 * BATCH))
    searcher_class = catalogue.find(searcher)
    search = searcher_class(task, base.configure(searcher_class, RUNS[searcher]))
    search.step()
    # Sorted cells share as much of the supernet's first cell as they can.
    rng = np.random.default_rng(0)
    cells = sorted({network.space.sample(rng, none=False) for _ in range(400)})
    search.one_shot_losses(cells[: diagnostics.SAMPLE], diagnostics.IMAGES)
    del images  # kept until here, since a run holds them all
    peak = {"peak_mb": own_peak()}
    if device.startswith("cuda"):
        peak["peak_device_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    return peak


def own_peak() -> float:
    """Largest resident memory of this process so far, MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # rusage includes the parent's peak from before exec
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def measure_memory(device: str, threads: int) -> list[dict[str, Any]]:
    """Peak memory of a run of each network and searcher, each in a process of its own."""
    rows = []
    for name, searcher in product(networks(device), RUNS):
        with process_pool(1, start_worker) as pool:
            peak = pool.submit(peak_memory, name, searcher, device, threads).result()
        rows.append({"network": name, "searcher": searcher, **peak})
    return rows


def measure(device: str, threads: int, rounds: int, table: Path | None) -> dict[str, Any]:
    """Everything that perf.json holds."""
    SUPERNET.open(table, ()).low_fidelity(SUPERNET.datasets[0])  # says so now if the table cannot be used
    torch.set_num_threads(threads)
    result: dict[str, Any] = {
        "environment": provenance.environment(device, uses_torch=True),
        "bf16 instructions": cpu_has_bf16(),  # of the processor
        "threads": threads,
        "rounds": rounds,
        "networks": "; ".join(map(described, networks(device).values())),
        "memory": measure_memory(device, threads),
        "ceilings": ceilings(device),
        "supernet": [row for name in networks(device) for row in measure_network(name, device, rounds)],
        "table": measure_table(table),
        "campaign": measure_campaign(SUPERNET.open(table, ()), table),
    }
    result["peak memory, MB"] = own_peak()
    if device.startswith("cuda"):
        result["peak device memory, MB"] = torch.cuda.max_memory_allocated(device) / 2**20
    result["one-shot run"] = measure_search(device)
    return result


def to_text(result: dict[str, Any]) -> str:
    """perf.json as Markdown."""
    where, tops = result["environment"], result["ceilings"]
    bf16 = {None: "", True: " (bf16 instructions)", False: " (no bf16 instructions)"}[result.get("bf16 instructions")]
    lines = [
        f"{where['cpu']}{bf16}, {where['device']}, {result['threads']} thread(s), torch {where['torch']}, revision "
        f"{where['git'] or 'unknown'}; medians of {result['rounds']} rounds, batch {BATCH}; networks: "
        f"{result['networks']}.",
        "Ratio: plain supernet's time (fp32, NCHW, eager, one module per edge and operation) over ours, same round.",
        "",
        "| network | case | precision | plain ms | ours ms | ratio (range) | GFLOP/s (ceiling) | GB/s (bandwidth) |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in result["supernet"]:
        top = tops[f"convolution {row['precision']}, GFLOP/s"]
        flops, moved = row["gflops_per_second"], row["gbytes_per_second"]
        lines.append(
            f"| {row['network']} | {row['case']} | {row['precision']} | {row['plain_ms']:.1f} | {row['ours_ms']:.1f} "
            f"| {row['ratio']:.2f} ({row['ratio_min']:.2f}-{row['ratio_max']:.2f}) | {flops:.0f} ({flops / top:.0%}) "
            f"| {moved:.1f} ({moved / tops['bandwidth, GB/s']:.0%}) |"
        )
    lines.append("")
    for group in ("ceilings", "table", "campaign", "one-shot run"):
        for name, value in result.get(group, {}).items():
            lines.append(f"- {group}: {name} {value:,.3g}")
    for row in result["memory"]:
        on_device = f" and {row['peak_device_mb']:,.0f} MB of the device's" if "peak_device_mb" in row else ""
        lines.append(f"- memory of a run: {row['network']}, {row['searcher']} {row['peak_mb']:,.0f} MB{on_device}")
    lines.append("  (peak in a process of its own: the preset's images, two batches, scorings, cells compared; fp32)")
    lines.append(f"- peak memory of this measurement {result['peak memory, MB']:,.0f} MB")
    return "\n".join(lines)


def write(result: dict[str, Any], folder: Path, command: str) -> str:
    """perf.json and perf.md in a folder; the text."""
    folder.mkdir(parents=True, exist_ok=True)
    text = to_text(result)
    store.write_json(folder / "perf.json", {"command": command, **result})
    store.write_bytes(folder / "perf.md", f"`{command}`\n\n{text}\n".encode())
    return text


def slug(environment: dict[str, Any], threads: int) -> str:
    """A folder's name for this kind of machine: `amd-epyc-2-threads`."""
    where = environment["device"] if "(" in environment["device"] else environment["cpu"]
    words = "".join(c if c.isalnum() else " " for c in where.lower()).split()
    return "-".join([*words, str(threads), "threads"])
