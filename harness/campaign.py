"""Campaigns: searcher specs × seeds become runs with keys; what is finished is not planned again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.errors import UserError
from harness import locks, results, scoring, store
from harness.jobs import Job
from harness.options import Setting
from harness.report.notes import power
from harness.runner import Plan
from harness.schema import Ablations, Campaign, Entrant
from harness.specs import Spec, digest, use_images
from searchers import base, catalogue

# What all runs of a campaign share: with another value they are another campaign.
SHARED = ("benchmark", "table_sha256", "search_dataset", "preset", "precision", "threads")
AnyJob = TypeVar("AnyJob", bound=Job)
COMMANDS = 15_000  # characters of them that a campaign keeps, the last ones


@dataclass(frozen=True)
class Order:
    """What a command wants done with its campaign's folder besides the runs; `say` prints what is set aside."""

    say: Callable[[str], None]
    fresh: bool = False
    ablations: Ablations | None = None


# What a run's key is made of, with the images' checksum: another value is another run.
DECIDES = ("searcher", "config", "seed", *SHARED)


def plans(setting: Setting, specs: Sequence[Spec], seeds: Sequence[int]) -> list[Plan]:
    """All runs, seed by seed, so that an unfinished campaign has every searcher at the seeds it has done.

    A search that uses no seed is made at the first alone.
    """
    own = {spec.label: seeds_of(setting, spec, seeds) for spec in specs}
    images_sha256 = ""
    if use_images(specs):
        from benchmarks.images import checksum

        parts = setting.benchmark.search_data(setting.search_dataset, setting.preset)
        images_sha256 = "+".join(checksum(part) for part in parts)
    runs = []
    for seed, spec in itertools.product(seeds, specs):
        if seed not in own[spec.label]:
            continue
        epochs = setting.preset.epochs or spec.reference_epochs
        one_shot, images = spec.kind == "one-shot", spec.kind != "multi-trial"
        if one_shot and not epochs:
            raise UserError(
                f"searcher {spec.text!r} has no reference_epochs, which --preset {setting.preset.name} trains it for"
            )
        preset = setting.preset.model_copy(update={"epochs": epochs if one_shot else 0})
        # Queries of a table have neither: one found on a GPU's machine is the one found here.
        precision, threads = setting.precision if one_shot else "fp32", setting.threads if images else 1
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
        decides = {name: getattr(plan, name) for name in DECIDES} | {"preset": preset.model_dump()}
        decides["searcher"], decides["config"] = catalogue.find(spec.name).key_settings(spec.config)
        decides["images_sha256"] = images_sha256 if images else ""
        version = setting.benchmark.space.supernet_version
        if one_shot and version > 1:  # keys of the first have none
            decides["supernet_version"] = version
        if plan.plugin:  # other people's code may change at any time; that of this program is named in records
            decides["plugin_source"] = plan.plugin_source
        runs.append(plan._replace(key=digest(decides)))
    return runs


def shard(planned: Sequence[Plan], part: int, parts: int) -> list[Plan]:
    """The runs of one of several commands that share a campaign without asking each other; 1 <= part <= parts.

    Dealt out searcher by searcher, so that every part gets as many runs of each, give or take one.
    """
    labels = list(dict.fromkeys(plan.label for plan in planned))
    dealt = [plan for label in labels for plan in planned if plan.label == label][part - 1 :: parts]
    own = {(plan.label, plan.seed) for plan in dealt}
    return [plan for plan in planned if (plan.label, plan.seed) in own]


def left_to_do(folder: Path, planned: Sequence[AnyJob], say: Callable[[str], None]) -> list[AnyJob]:
    """The jobs without a finished record. Records of other settings, failed and damaged ones are set aside."""
    left = []
    for plan in planned:
        where = plan.place(folder)
        if _finished(where, plan):
            continue
        left.append(plan)
        if not (where / "record.json").exists():
            continue
        with locks.claim(where) as free:  # otherwise somebody is making it anew
            if free and not _finished(where, plan):
                _clear(where, plan, say)
    return left


def _finished(where: Path, plan: Job) -> bool:
    record = store.record_of(where, plan.key, plan.record_type)
    if record is None or not record.finished:
        return False
    return store.is_trace_intact(where / "trace.jsonl", record.trace)


def _clear(where: Path, plan: Job, say: Callable[[str], None]) -> None:
    try:
        record = store.load_record(where, plan.record_type)
    except UserError as error:
        say(f"{error}; set aside, the run is repeated")
        store.set_aside(where / "record.json")
        if (where / "trace.jsonl").exists() and not (where / "checkpoint.pt").exists():
            store.set_aside(where / "trace.jsonl")  # of a finished run: a new one would take its place
        return
    if record is not None and record.key != plan.key:
        why = plan.other_code(record.environment) or "made with other settings"
        say(f"{where}: {why}; set aside, the run is made anew")
        store.set_aside(where)
    elif record is not None and record.finished:
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
    stack: ExitStack,
) -> Campaign:
    """Make or extend the campaign in a folder, under a lock; returns what its campaign.json holds.

    The folder is in use as long as `stack` lasts.

    `about` are the campaign's fields besides its runs and settings. A damaged campaign.json is set aside and written
    anew.
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
        campaign = campaign_of(folder, old, setting, specs, seeds, order.ablations).model_copy(update=about)
        if old is not None:  # each command had a part in it
            commands = dict.fromkeys([*old.command.split("\n"), campaign.command])
            history: dict[str, Any] = {"created": old.created, "command": "\n".join(commands)[-COMMANDS:]}
            if results.uses_images(old) and not use_images(specs):  # what is said is of those that do
                history |= {name: getattr(old, name) for name in ("chosen", "device", "versions")}
            campaign = campaign.model_copy(update=history)
        campaign = campaign.model_copy(update={"power_note": power(results.Results(campaign, []))})
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locks.in_use(folder))
        if not locks.has_locks(folder):
            order.say(f"{folder}: its file system has no locks, so another command there may make the same runs")
        store.save(folder, campaign)
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


def uses_seed(setting: Setting, spec: Spec) -> bool:
    """Whether another seed may give another answer."""
    searcher = catalogue.find(spec.name)
    return searcher.uses_seed(base.configure(searcher, spec.config), setting.benchmark.space)


def seeds_of(setting: Setting, spec: Spec, seeds: Sequence[int]) -> list[int]:
    """Those at which a searcher is run: all, or the first where it uses none."""
    return list(seeds if uses_seed(setting, spec) else seeds[:1])


def campaign_of(
    folder: Path,
    old: Campaign | None,
    setting: Setting,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    ablations: Ablations | None = None,
) -> Campaign:
    """The campaign of this command's runs, which extends the old one of the folder.

    UserError where the folder holds a campaign on another table, benchmark or preset, or of another default.
    """
    if specs and not use_images(specs):  # as their runs, in `plans`
        setting = replace(setting, precision="fp32", threads=1)
    rows = [
        Entrant(
            label=s.label,
            searcher=s.name,
            spec=s.text,
            kind=s.kind,
            config=s.config,
            answer_rule=s.answer_rule,
            development=s.development,
            seeds=seeds_of(setting, s, seeds),
            uses_seed=uses_seed(setting, s),
            plugin=s.plugin,
            plugin_source=s.plugin_source or None,
        )
        for s in specs
    ]
    campaign = Campaign(
        benchmark=setting.benchmark.name,
        table_sha256=setting.benchmark.version,
        search_dataset=setting.search_dataset,
        preset=setting.preset,
        precision=setting.precision,
        threads=setting.threads,
        table_source=setting.benchmark.source,
        proxy_cost=setting.benchmark.low_fidelity_cost(setting.search_dataset),
        endpoint=setting.endpoint or _default_endpoint(setting),
        seeds=list(seeds),
        searchers=rows,
        space=scoring.space_summary(setting.benchmark),
        cloud=scoring.cloud(setting.benchmark),
        ablations=ablations,
        evaluations=setting.evaluations,
    )
    if old is None:
        return campaign
    if setting.endpoint and old.endpoint != setting.endpoint:
        declared = f"declared {old.endpoint}" if old.endpoint else "declared no endpoint"
        raise UserError(
            f"{folder} {declared} when it was made: harness report --endpoint {setting.endpoint} reports another one, "
            "and says that it was chosen afterwards"
        )
    old, campaign = results.reconciled([old, campaign])
    if differing := results.first_difference(old, campaign, SHARED):
        name, was, now = differing
        raise UserError(
            f"{folder} holds a campaign with another {name} ({was}, not {now}): use another --out, or --fresh "
            "to move its runs aside"
        )
    campaign = campaign.model_copy(update={"endpoint": old.endpoint})
    return campaign.model_copy(update=results.merged([old, campaign]))  # of a label that both have today's settings


def _default_endpoint(setting: Setting) -> str:
    """The primary endpoint where none is asked for: the data set searched on, or the first that has test scores."""
    datasets = setting.benchmark.datasets
    return setting.search_dataset if setting.search_dataset in datasets else datasets[0]
