"""Campaigns: searcher specs × seeds become runs with keys; what is finished is not planned again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness import locks, results, scoring, store
from harness.options import Setting
from harness.report.notes import power
from harness.runner import Plan, other_code
from harness.specs import Spec, digest, train_supernets
from searchers import catalogue

COMMANDS = 15_000  # characters of them that a campaign keeps, the last ones


@dataclass(frozen=True)
class Order:
    """What a command asks of its campaign's folder besides the runs; `say` is told what was set aside."""

    say: Callable[[str], None]
    fresh: bool = False
    ablations: dict[str, Any] | None = None


# What a run's key is made of, with the images' checksum: another value is another run.
DECIDES = (
    *("searcher", "config", "seed", "benchmark", "search_dataset"),
    *("preset", "table_sha256", "precision", "threads"),
)


def plans(setting: Setting, specs: Sequence[Spec], seeds: Sequence[int]) -> list[Plan]:
    """All runs, seed by seed, so that an unfinished campaign has every searcher at the seeds it has done."""
    images_sha256 = ""
    if train_supernets(specs):
        from benchmarks.images import checksum

        parts = setting.benchmark.search_data(setting.search_dataset, setting.preset)
        images_sha256 = "+".join(checksum(part) for part in parts)
    made = []
    for seed, spec in itertools.product(seeds, specs):
        epochs = setting.preset["epochs"] or spec.reference_epochs
        one_shot = spec.kind == "one-shot"
        if one_shot and not epochs:
            name = setting.preset["name"]
            raise UserError(f"searcher {spec.text!r} has no reference_epochs, which --preset {name} trains it for")
        preset = {**setting.preset, "epochs": epochs if one_shot else 0}
        # Queries of a table have neither: one found on a GPU's machine is the one found here.
        precision, threads = (setting.precision, setting.threads) if one_shot else ("fp32", 1)
        plan = Plan(
            searcher=spec.name,
            label=spec.label,
            spec=spec.text,
            kind=spec.kind,
            config=spec.config,
            seed=seed,
            benchmark=setting.benchmark.name,
            search_dataset=setting.search_dataset,
            preset=preset,
            precision=precision,
            threads=threads,
            table_sha256=setting.benchmark.version,
            key="",
            device=setting.device,
            table=str(setting.table.resolve()) if setting.table else "",
            places=tuple(str(p.resolve()) for p in setting.places),
            plugin=spec.plugin,
            plugin_source=spec.plugin_source,
        )
        decides = {name: getattr(plan, name) for name in DECIDES}
        decides["searcher"], decides["config"] = catalogue.find(spec.name).key_settings(spec.config)
        decides["images_sha256"] = images_sha256 if one_shot else ""
        if plan.plugin:  # other people's code may change at any time; that of this program is named in records
            decides["plugin_source"] = plan.plugin_source
        made.append(plan._replace(key=digest(decides)))
    return made


def shard(planned: Sequence[Plan], part: int, parts: int) -> list[Plan]:
    """The runs of one of several commands that share a campaign without asking each other; 1 <= part <= parts.

    Dealt out searcher by searcher, so that every part gets as many runs of each, give or take one.
    """
    labels = list(dict.fromkeys(plan.label for plan in planned))
    dealt = [plan for label in labels for plan in planned if plan.label == label][part - 1 :: parts]
    mine = {(plan.label, plan.seed) for plan in dealt}
    return [plan for plan in planned if (plan.label, plan.seed) in mine]


def left_to_do(folder: Path, planned: Sequence[Plan], say: Callable[[str], None]) -> list[Plan]:
    """The runs without a finished record; one made under other settings is set aside, a failed or damaged one too."""
    left = []
    for plan in planned:
        where = store.run_folder(folder, plan.label, plan.seed)
        if _finished(where, plan):
            continue
        left.append(plan)
        if not (where / "record.json").exists():
            continue
        with locks.claim(where) as mine:  # otherwise somebody is making it anew
            if mine and not _finished(where, plan):
                _clear(where, plan, say)
    return left


def _finished(where: Path, plan: Plan) -> bool:
    record = store.record_of(where, plan.key)
    if record is None or record["status"] != "done":
        return False
    return store.is_trace_intact(where / "trace.jsonl", record.get("trace"))


def _clear(where: Path, plan: Plan, say: Callable[[str], None]) -> None:
    try:
        record = store.load_record(where)
    except UserError as error:
        say(f"{error}; set aside, the run is repeated")
        store.set_aside(where / "record.json")
        if (where / "trace.jsonl").exists() and not (where / "checkpoint.pt").exists():
            store.set_aside(where / "trace.jsonl")  # of a finished run: a new one would take its place
        return
    if record is not None and record["key"] != plan.key:
        why = other_code(record["environment"], plan) or "made with other settings"
        say(f"{where}: {why}; set aside, the run is made anew")
        store.set_aside(where)
    elif record is not None and record["status"] == "done":
        say(f"{where / 'trace.jsonl'}: damaged since its run was finished; set aside, the run is repeated")
        store.set_aside(where)
    elif record is not None:
        store.set_aside(where / "record.json")


def prepare(
    folder: Path,
    setting: Setting,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    about: dict[str, Any],
    order: Order,
    held: ExitStack,
) -> dict[str, Any]:
    """Make or extend the campaign in a folder, nobody else writing it meanwhile; its campaign.json.

    The folder is in use as long as `held` lasts.

    `about` is what campaign.json says besides the runs. A damaged campaign.json is set aside and written anew.
    UserError where the folder holds another campaign, or `fresh` would take a running one away.
    """
    with locks.campaign_lock(folder):
        if order.fresh and folder.exists():
            _move_aside(folder, order.say)
        old = None
        if (folder / "campaign.json").exists():
            try:
                old = store.load_campaign(folder)
            except UserError as error:
                store.set_aside(folder / "campaign.json")
                order.say(f"{error}: set aside; what else is finished in {folder} stays in the report")
        campaign = campaign_of(folder, old, setting, specs, seeds, order.ablations) | about
        if old is not None:  # each command had a part in it
            commands = dict.fromkeys([*old["command"].split("\n"), about["command"]])
            campaign |= {"created": old["created"], "command": "\n".join(commands)[-COMMANDS:]}
            if results.trains(old) and not train_supernets(specs):  # what is said is of the supernets
                campaign |= {name: old[name] for name in ("chosen", "device", "versions") if name in old}
        campaign["power_note"] = power([], campaign)
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(locks.in_use(folder))
        if not locks.has_locks(folder):
            order.say(f"{folder}: its file system has no locks, so another command there may make the same runs")
        store.write_sealed(folder / "campaign.json", campaign)
    return campaign


def _move_aside(folder: Path, say: Callable[[str], None]) -> None:
    for run, who in locks.running(folder).items():
        raise UserError(f"--fresh: {run} is being made by {who}; stop that command first")
    if locks.is_in_use(folder):
        raise UserError(f"--fresh: another command works on {folder}; stop it first")
    folder, number = folder.resolve(), 1
    while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(target)
    say(f"moved the old {folder} to {target}")


def campaign_of(
    folder: Path,
    old: dict[str, Any] | None,
    setting: Setting,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    ablations: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What campaign.json says of this command's runs, extending what was there.

    UserError where the folder holds a campaign on another table, benchmark or preset, or of another default.
    """
    trained = train_supernets(specs)
    if specs and not trained:  # as their runs, in `plans`
        setting = replace(setting, precision="fp32", threads=1)
    shared = {
        "benchmark": setting.benchmark.name,
        "table_sha256": setting.benchmark.version,
        "search_dataset": setting.search_dataset,
        "preset": setting.preset,
        "precision": setting.precision,
        "threads": setting.threads,
    }
    rows = [
        {
            "label": s.label,
            "searcher": s.name,
            "spec": s.text,
            "kind": s.kind,
            "config": s.config,
            "answer_rule": s.answer_rule,
            "seeds": list(seeds),
            **({"plugin": s.plugin, "plugin_source": s.plugin_source} if s.plugin else {}),
        }
        for s in specs
    ]
    campaign = {
        **shared,
        "table_source": setting.benchmark.source,
        "proxy_cost": setting.benchmark.low_fidelity_cost(setting.search_dataset),
        "seeds": list(seeds),
        "searchers": rows,
        "space": scoring.space_summary(setting.benchmark),
        "cloud": scoring.cloud(setting.benchmark),
    } | ({"ablations": ablations} if ablations else {})
    if old is None:
        return campaign
    old, campaign = results.reconciled([old, campaign])
    if differing := results.first_difference(old, campaign, shared):
        name, was, now = differing
        raise UserError(
            f"{folder} holds a campaign with another {name} ({was}, not {now}): use another --out, or --fresh "
            "to move its runs aside"
        )
    return campaign | results.merged([old, campaign])  # where both have a label, today's settings hold
