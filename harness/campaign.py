"""Campaigns: searcher specs × seeds become runs with keys; what is finished is not planned again.

A spec is a name with optional settings, `darts[order=2]`, `gicso[diversity=0,population=18]`; a list in braces
expands, `gicso[population={12,24}]`. Commas inside brackets do not split.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.base import UserError
from benchmarks.nb201.benchmark import Benchmark
from harness import scoring, store
from harness.runner import Plan
from searchers import base


@dataclass(frozen=True)
class Spec:
    """A searcher with resolved settings. `label` names its folder: the name alone for default settings."""

    name: str
    label: str
    text: str
    kind: str
    config: dict[str, Any]
    reference_epochs: int


def split_outside(text: str, separator: str = ",") -> list[str]:
    """Split at separators that are in no bracket; UserError for unbalanced brackets."""
    parts, start = [], 0
    pairs = {"]": "[", "}": "{"}
    stack: list[str] = []
    for k, character in enumerate(text):
        if character in "[{":
            stack.append(character)
        elif character in pairs:
            if not stack or stack.pop() != pairs[character]:
                raise UserError(f"{text!r}: unbalanced {character!r} at character {k + 1}")
        elif character == separator and not stack:
            parts.append(text[start:k])
            start = k + 1
    if stack:
        raise UserError(f"{text!r}: {stack[-1]!r} is not closed")
    return [part.strip() for part in [*parts, text[start:]]]


def parse_value(text: str) -> Any:
    """A setting's value: JSON where it is JSON (numbers, true, false), otherwise the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_specs(text: str, overrides: Sequence[str] = ()) -> list[Spec]:
    """The searchers of `--searchers`, with `--set searcher.key=value` applied, lists in braces expanded."""
    settings_of: dict[str, dict[str, Any]] = {}
    for override in overrides:
        target, mark, value = override.partition("=")
        name, dot, key = target.strip().partition(".")
        if not (mark and dot and key):
            raise UserError(f"--set {override!r}: expected searcher.key=value")
        settings_of.setdefault(name, {})[key] = parse_value(value.strip())
    specs: list[Spec] = []
    for part in split_outside(text):
        if not part:
            raise UserError(f"--searchers {text!r}: an empty name between commas")
        name, bracket, rest = part.partition("[")
        if bracket and not rest.endswith("]"):
            raise UserError(f"searcher {part!r}: expected name[key=value,…]")
        specs += _expand(name.strip(), rest[:-1] if bracket else "", settings_of.get(name.strip(), {}))
    unused = sorted(set(settings_of) - {spec.name for spec in specs})
    if unused:
        raise UserError(f"--set {unused[0]}.…: {unused[0]!r} is not among the searchers of this campaign")
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"--searchers {text!r}: {label!r} is given twice")
    return specs


def _expand(name: str, inside: str, extra: Mapping[str, Any]) -> list[Spec]:
    options: list[list[tuple[str, Any]]] = []
    for item in split_outside(inside) if inside.strip() else []:
        key, mark, value = item.partition("=")
        if not mark or not key.strip() or not value.strip():
            raise UserError(f"searcher {name}[{inside}]: expected key=value, found {item!r}")
        value = value.strip()
        values = split_outside(value[1:-1]) if value.startswith("{") and value.endswith("}") else [value]
        options.append([(key.strip(), parse_value(v)) for v in values])
    return [resolve(name, {**extra, **dict(choice)}) for choice in itertools.product(*options)]


def resolve(name: str, settings: Mapping[str, Any]) -> Spec:
    """A searcher and settings to a spec; UserError for unknown names and values out of range."""
    searcher = base.find(name)
    config = base.configure(searcher, settings)
    values = config.model_dump(mode="json")
    defaults = searcher.Config().model_dump(mode="json")
    changed = {key: value for key, value in values.items() if value != defaults[key]}
    label, text = name, name
    if changed:
        label = f"{name}-{digest(changed)[:8]}"
        text = f"{name}[{','.join(f'{k}={_show(v)}' for k, v in sorted(changed.items()))}]"
    return Spec(name, label, text, searcher.kind_of(config), values, searcher.reference_epochs)


def parse_ablations(text: str, overrides: Sequence[str] = ()) -> tuple[list[Spec], dict[str, str]]:
    """A searcher's spec and those of its declared ablations; label -> what is taken away.

    UserError where the text names several searchers or one that declares none.
    """
    specs = parse_specs(text, overrides)
    if len(specs) != 1:
        raise UserError(f"{text!r}: one searcher is ablated at a time, found {len(specs)}")
    default = specs[0]
    declared = base.find(default.name).ablations
    if not declared:
        able = [name for name in base.names() if base.find(name).ablations]
        raise UserError(f"searcher {default.name!r} declares no ablations (those that do: {', '.join(able)})")
    rows: dict[str, str] = {}
    for what, settings in declared.items():
        spec = resolve(default.name, {**default.config, **settings})
        if spec.label != default.label and spec.label not in rows:  # the spec may already leave it out
            specs.append(spec)
            rows[spec.label] = what
    return specs, rows


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def digest(value: Any) -> str:
    """sha256 (hex) of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def parse_seeds(text: str) -> list[int]:
    """`5` is 0 to 4; `3,7,11` are these, `3,` is 3 alone. UserError for repeats and anything else."""
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UserError(f"--seeds {text!r}: expected a count (5) or a list (3,7,11) of whole numbers")
    numbers = [int(part) for part in parts]
    if len(numbers) == 1 and "," not in text:
        if not 1 <= numbers[0] <= 100_000:
            raise UserError(f"--seeds {text}: a count from 1 to 100000; the single seed {text} is --seeds {text},")
        return list(range(numbers[0]))
    if len(set(numbers)) != len(numbers):
        raise UserError(f"--seeds {text!r}: a seed is given twice")
    return numbers


def places_for(data: Path | None) -> list[Path]:
    """Folders in which benchmark files are looked for, in order."""
    if data is not None:
        if not data.is_dir():
            raise UserError(f"--data {data}: no such folder")
        return [data]
    candidates = [os.environ.get("HARNESS_DATA"), "~/.cache/harness"]
    return [p for c in candidates if c and (p := Path(c).expanduser()).is_dir()]


def resolve_preset(benchmark: Benchmark, name: str) -> dict[str, Any]:
    if name not in benchmark.presets:
        known = base.suggestion(name, list(benchmark.presets))
        raise UserError(f"--preset {name!r} of {benchmark.name}{known}")
    return {"name": name, **benchmark.presets[name], "simulated_seconds": benchmark.simulated_seconds}


@dataclass(frozen=True)
class Setting:
    """What all runs of a campaign share."""

    benchmark: Benchmark
    table: Path | None  # None: the embedded one
    places: tuple[Path, ...]
    search_dataset: str
    preset: dict[str, Any]
    precision: str
    device: str
    threads: int


def plans(setting: Setting, specs: Sequence[Spec], seeds: Sequence[int]) -> list[Plan]:
    """All runs, seed by seed, so that an unfinished campaign has every searcher at the seeds it has done."""
    images_sha256 = ""
    if any(spec.kind == "one-shot" for spec in specs):
        from benchmarks.images import checksum

        parts = setting.benchmark.search_data(setting.search_dataset, setting.preset)
        images_sha256 = "+".join(checksum(part) for part in parts)
    made = []
    for seed, spec in itertools.product(seeds, specs):
        epochs = setting.preset["epochs"] or spec.reference_epochs
        preset = {**setting.preset, "epochs": epochs if spec.kind == "one-shot" else 0}
        decides = {
            "searcher": spec.name,
            "config": spec.config,
            "seed": seed,
            "benchmark": setting.benchmark.name,
            "search_dataset": setting.search_dataset,
            "preset": preset,
            "table_sha256": setting.benchmark.version,
            "images_sha256": images_sha256 if spec.kind == "one-shot" else "",
            "precision": setting.precision,
            "threads": setting.threads,
        }
        made.append(
            Plan(
                searcher=spec.name,
                label=spec.label,
                spec=spec.text,
                kind=spec.kind,
                config=spec.config,
                seed=seed,
                benchmark=setting.benchmark.name,
                search_dataset=setting.search_dataset,
                preset=preset,
                precision=setting.precision,
                threads=setting.threads,
                table_sha256=setting.benchmark.version,
                key=digest(decides),
                device=setting.device,
                table=str(setting.table.resolve()) if setting.table else "",
                places=tuple(str(p.resolve()) for p in setting.places),
            )
        )
    return made


def left_to_do(folder: Path, planned: Sequence[Plan]) -> list[Plan]:
    """The runs without a finished record; a record made under other settings is set aside, a failed one too."""
    left = []
    for plan in planned:
        where = store.run_folder(folder, plan.label, plan.seed)
        record = store.load_record(where)
        if record is not None and record["key"] == plan.key and record["status"] == "done":
            continue
        if record is not None:
            store.set_aside(where if record["key"] != plan.key else where / "record.json")
        left.append(plan)
    return left


def open_folder(
    folder: Path,
    setting: Setting,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    ablations: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """campaign.json of this command in this folder, extending one that is there.

    UserError where the folder holds a campaign on another table, benchmark or preset, or of another default.
    """
    shared = {
        "benchmark": setting.benchmark.name,
        "table_sha256": setting.benchmark.version,
        "search_dataset": setting.search_dataset,
        "preset": setting.preset,
        "precision": setting.precision,
        "threads": setting.threads,
    }
    rows = {
        s.label: {
            "label": s.label,
            "searcher": s.name,
            "spec": s.text,
            "kind": s.kind,
            "config": s.config,
            "seeds": list(seeds),
        }
        for s in specs
    }
    if (folder / "campaign.json").exists():
        old = store.load_campaign(folder)
        for name, value in shared.items():
            if old.get(name) != value:
                raise UserError(
                    f"{folder} holds a campaign with another {name} ({_brief(old.get(name))}, not "
                    f"{_brief(value)}): use another --out, or --fresh to move its runs aside"
                )
        before_ablations = old.get("ablations")
        if ablations is None or before_ablations is None:
            ablations = ablations or before_ablations
        elif before_ablations["of"] != ablations["of"]:
            raise UserError(f"{folder} holds the ablations of {before_ablations['of']}: use another --out")
        # Where both have a label, today's settings hold, and its seeds are those of both.
        before = {row["label"]: row for row in old["searchers"]}
        for label in rows.keys() & before.keys():
            rows[label]["seeds"] = _union(before[label]["seeds"], seeds)
        rows = before | rows
        seeds = _union(old["seeds"], seeds)
    return {
        **shared,
        "table_source": setting.benchmark.table.source,
        "proxy_cost": setting.benchmark.proxy_cost(setting.search_dataset),
        "seeds": list(seeds),
        "searchers": list(rows.values()),
        "space": scoring.space_summary(setting.benchmark),
        "cloud": scoring.cloud(setting.benchmark),
    } | ({"ablations": ablations} if ablations else {})


def _union(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return list(dict.fromkeys([*first, *second]))


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("name", value))
    return str(value)[:12]
