"""Parsing of what a command names: searcher specs, settings, seeds.

A spec is a name with optional settings, `darts[order=2]`, `gicso[diversity=0,population=18]`; a list in braces
expands, `gicso[population={12,24}]`. Commas inside brackets do not split.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import UserError
from harness import quantities
from searchers import base, catalogue, plugins


@dataclass(frozen=True)
class Spec:
    """A searcher with resolved settings. `label` names its folder: the name alone for default settings."""

    name: str
    label: str
    text: str
    kind: str
    config: dict[str, Any]
    reference_epochs: int
    answer_rule: str  # how its cell is chosen
    development: str = ""  # how many of its settings were tried before; of ours "none" where it does not say
    plugin: str = ""  # of another package: "name version", and the digest of its code
    plugin_source: str = ""


def use_images(specs: Iterable[Spec]) -> bool:
    """Whether any of the searchers needs images, and torch; multi-trial ones only query."""
    return any(spec.kind != "multi-trial" for spec in specs)


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
    except (ValueError, RecursionError):
        return text


def parse_specs(text: str, overrides: Sequence[str] = ()) -> list[Spec]:
    """The specs of `--searchers`: lists in braces are expanded, `--set searcher.key=value` is applied."""
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
    keys = set(extra)
    for item in split_outside(inside) if inside.strip() else []:
        key, mark, value = item.partition("=")
        if not mark or not key.strip() or not value.strip():
            raise UserError(f"searcher {name}[{inside}]: expected key=value, found {item!r}")
        value = value.strip()
        values = split_outside(value[1:-1]) if value.startswith("{") and value.endswith("}") else [value]
        key = key.strip()
        if key in keys:
            raise UserError(f"searcher {name}[{inside}]: {key} is given twice (--set counts)")
        keys.add(key)
        options.append([(key, parse_value(v)) for v in values])
    return [resolve(name, {**extra, **dict(choice)}) for choice in itertools.product(*options)]


def resolve(name: str, settings: Mapping[str, Any]) -> Spec:
    """The spec of a searcher with settings; UserError for an unknown name or a value out of range."""
    searcher = catalogue.find(name)
    config = base.configure(searcher, settings)
    values = config.model_dump(mode="json")
    defaults = searcher.Config().model_dump(mode="json")
    changed = {key: value for key, value in values.items() if value != defaults[key]}
    label, text = name, name
    if changed:
        label = f"{name}-{digest(changed)[:8]}"
        text = f"{name}[{show_settings(dict(sorted(changed.items())))}]"
    quantities.label(label, "searcher")
    return Spec(
        name,
        label,
        text,
        searcher.kind,
        values,
        searcher.reference_epochs,
        searcher.answer_rule,
        searcher.development or ("none" if name in base.SEARCHERS else ""),
        *plugins.origin(name),
    )


def parse_ablations(text: str, overrides: Sequence[str] = ()) -> tuple[list[Spec], dict[str, str]]:
    """A searcher's spec and those of its declared ablations; label -> what is taken away.

    UserError where the text names several searchers or one that declares none.
    """
    specs = parse_specs(text, overrides)
    if len(specs) != 1:
        raise UserError(f"{text!r}: one searcher is ablated at a time, found {len(specs)}")
    default = specs[0]
    searcher = catalogue.find(default.name)
    if not searcher.ablations:
        names = [name for name, other in catalogue.load_all()[0].items() if other.ablations]
        raise UserError(f"searcher {default.text!r} declares no ablations (those that do: {', '.join(names)})")
    rows: dict[str, str] = {}
    for what, settings in searcher.ablations.items():
        spec = resolve(default.name, {**default.config, **settings})
        if spec.label != default.label and spec.label not in rows:  # the spec may already leave it out
            specs.append(spec)
            rows[spec.label] = what
    return specs, rows


def show_settings(settings: Mapping[str, Any]) -> str:
    return ",".join(f"{key}={show_value(value)}" for key, value in settings.items())


def show_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def digest(value: Any) -> str:
    """sha256 (hex) of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def parse_seeds(text: str) -> list[int]:
    """Seeds from text: `5` gives 0 to 4, `3,7,11` these three, `3,` only 3. UserError for repeats and anything else."""
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(re.fullmatch("[0-9]+", part) for part in parts):
        raise UserError(f"--seeds {text!r}: expected a count (5) or a list (3,7,11) of {quantities.SEEDS}")
    numbers = [quantities.seed(part, f"--seeds {text!r}") for part in parts]
    if len(numbers) == 1 and "," not in text:
        try:
            return list(range(quantities.count(numbers[0], f"--seeds {text}")))
        except UserError as error:
            raise UserError(f"{error}; the single seed {text} is --seeds {text},") from None
    if len(set(numbers)) != len(numbers):
        raise UserError(f"--seeds {text!r}: a seed is given twice")
    return numbers
