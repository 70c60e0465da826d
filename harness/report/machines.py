"""Where the runs of a campaign were made, and by which versions of which code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.processor import kernels_in_words, processor_in_words
from harness.schema import Environment, Record


def _environments(records: Iterable[Record]) -> list[Environment]:
    """The environments of the finished runs; a run that was resumed elsewhere has two."""
    return [e for r in records if r.finished for e in (r.begun_in, r.environment) if e]


def hardware(records: Iterable[Record]) -> list[str]:
    """The distinct machines of the finished runs, in words: device, processor, its kernels, torch.

    Runs without torch name no kernels. They count as made on the same machine as runs that name some.
    """
    machines: dict[tuple[str, str], set[str]] = {}
    for e in _environments(records):
        place = ", ".join(filter(None, (e.get("device"), processor_in_words(e))))
        kernels = machines.setdefault((place, f"torch {e['torch']}" if e.get("torch") else ""), set())
        if words := kernels_in_words(e):
            kernels.add(words)
    return sorted(", ".join(filter(None, (place, words, torch)))
                  for (place, torch), kernels in machines.items() for words in kernels or {""})  # fmt: skip


def of_several_machines(records: Iterable[Record]) -> bool:
    """Whether the finished runs were made on several processors, with several of their kernels, or on several devices.

    A field that one environment lacks is no difference: without torch a run has neither kernels nor a choice of device,
    and older records lack a processor's numbers. Another version of torch is not another machine.
    """
    machines = [
        {
            "cpu": e.get("cpu"),
            "model": (e["cpu_family"], e.get("cpu_model")) if e.get("cpu_family") is not None else None,
            "ATen": e.get("cpu_capability"),
            "oneDNN": e.get("onednn_isa"),
            "device": _device(e),
        }
        for e in _environments(records)
    ]
    return any(len({e[what] for e in machines if e[what]}) > 1 for what in ("cpu", "model", "ATen", "oneDNN", "device"))


def _device(environment: Mapping[str, Any]) -> str | None:
    """The device of a supernet's training: a GPU's name without its number, or "cpu"; None where it is unknown."""
    kind, _, name = (environment.get("device") or "").partition(" ")
    if kind != "cpu":
        return name or None
    return kind if environment.get("cpu_capability") else None


def revisions(records: Iterable[Record]) -> list[str]:
    """The distinct versions of this program and of searchers' packages that made the runs, the program's first."""
    return [name for names in by_package(records).values() for name in names]


def by_package(records: Iterable[Record]) -> dict[str, list[str]]:
    """ "the program" or a plug-in's package -> its distinct versions.

    A version is a clean git revision, else a digest of the source."""
    code: dict[str, set[str]] = {"the program": set()}
    for e in _environments(records):
        if e.get("harness"):
            clean = e.get("git") and not e["git"].endswith("-dirty")
            code["the program"].add(e["git"] if clean else f"source {e.get('source') or 'unknown'}")
        if e.get("plugin"):
            name = e["plugin"].rpartition(" ")[0]
            code.setdefault(name, set()).add(f"{e['plugin']} (source {e.get('plugin_source')})")
    return {what: sorted(names) for what, names in code.items()}
