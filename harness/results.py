"""A campaign's records as tables, plots, tests and notes take them: `Results`, and how several campaigns become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.base import SearchSpace
from benchmarks.errors import UserError, suggestion
from harness import store, trained
from harness.output import tell
from harness.schema import Ablations, Campaign, Column, Entrant, EvaluationRecord, Record, Trainings

SPLITS = ("valid", "test")
MEAN = "mean"  # of the data sets, as a primary endpoint


@dataclass(frozen=True)
class Results:
    """A campaign and the records of its runs, of the failed ones too. What is derived is worked out once."""

    campaign: Campaign
    records: Sequence[Record]
    evaluations: Sequence[EvaluationRecord] = ()  # trainings of answers from scratch, as the campaign plans them

    @cached_property
    def searchers(self) -> list[Entrant]:
        """The campaign's searchers in their order, then any that only the records know (imported cells)."""
        rows = {s.label: s for s in self.campaign.searchers}
        for r in self.records:
            if r.label not in rows:
                seeds = [other.seed for other in self.records if other.label == r.label]
                rows[r.label] = Entrant(
                    label=r.label, searcher=r.searcher, spec=r.spec, kind=r.kind, config=r.config, seeds=seeds
                )
        return list(rows.values())

    @cached_property
    def compared(self) -> list[Entrant]:
        """The searchers that are tested against the first of them: all but ablations."""
        return [s for s in self.searchers if s.label not in self.ablations]

    @cached_property
    def specs(self) -> dict[str, str]:
        """Label -> spec, of each searcher."""
        return {s.label: s.spec for s in self.searchers}

    @cached_property
    def finished(self) -> list[Record]:
        """The records of runs that ended with a cell; of a searcher that uses no seed one, as the others are copies."""
        copied = {s.label for s in self.campaign.searchers if not s.uses_seed}
        first = {r.label: r for r in reversed(self.records) if r.finished}
        return [r for r in self.records if r.finished and (r.label not in copied or r is first[r.label])]

    @cached_property
    def _finished(self) -> dict[str, list[Record]]:
        return _by_label(self.finished)

    @cached_property
    def _attempts(self) -> dict[str, list[Record]]:
        return _by_label(self.records)

    def attempts(self, label: str) -> list[Record]:
        """The records of one searcher, of failed runs too."""
        return self._attempts.get(label, [])

    def runs(self, label: str) -> list[Record]:
        """Those of `finished` that are one searcher's."""
        return self._finished.get(label, [])

    def planned(self, searcher: Entrant) -> list[int]:
        """The seeds that a searcher was to run; one where it uses none."""
        seeds = planned_seeds(searcher, self.campaign)
        return seeds if searcher.uses_seed else seeds[:1]

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """All (dataset, split) with scores, in the benchmark's order, validation before test; targets of trainings."""
        own = [(d, s) for d, splits in self.campaign.space.items() for s in SPLITS if s in splits]
        own += [(target, "test") for target in self.campaign.evaluations]
        others = {(s.dataset, s.split) for r in self.records for s in r.scores} - set(own)
        columns = own + sorted(others, key=lambda c: (c[0], SPLITS.index(c[1])))
        return columns or [(self.campaign.search_dataset, "test")]  # of answers that nobody has trained yet

    @cached_property
    def datasets(self) -> list[str]:
        """The data sets with a test score."""
        return [dataset for dataset, split in self.columns if split == "test"]

    def table(self, dataset: str, split: str = "test") -> Column | None:
        """What the benchmark's table holds of a data set and split, None where it has no table."""
        return self.campaign.space.get(dataset, {}).get(split)

    @cached_property
    def endpoint(self) -> str:
        """The primary endpoint: the declared one, else test accuracy on the data set searched on, or the first one."""
        default = self.campaign.search_dataset
        return self.campaign.endpoint or (default if default in self.datasets else next(iter(self.datasets), default))

    def outcome(self, record: Record, dataset: str) -> float | None:
        """A run's test accuracy on a data set, percent; of MEAN the mean over the data sets of `normalised`."""
        if dataset != MEAN:
            return record.final(dataset, "test")
        values = [self.normalised(record.final(d, "test"), d) for d in self.datasets]
        return None if None in values or not values else sum(v for v in values if v is not None) / len(values)

    def outcomes(self, label: str, dataset: str) -> dict[int, float]:
        """Seed -> `outcome` of one searcher's finished runs."""
        values = {r.seed: self.outcome(r, dataset) for r in self.runs(label)}
        return {seed: value for seed, value in values.items() if value is not None}

    def normalised(self, accuracy: float | None, dataset: str) -> float | None:
        """A test accuracy from 0 (the table's mean cell) to 100 (its best); None without a table."""
        table = self.table(dataset)
        if accuracy is None or table is None or table.optimum.value == table.mean:
            return None
        return 100 * (accuracy - table.mean) / (table.optimum.value - table.mean)

    def with_endpoint(self, name: str) -> Results:
        """The same results under another primary endpoint, with a warning; UserError where there is no such one."""
        check_endpoint(name, self.datasets)
        if name == MEAN and any(self.table(d) is None for d in self.datasets):
            raise UserError("--endpoint mean: this benchmark has no table, so no optimum and no mean cell")
        if name == self.endpoint:
            return self
        declared = "declared" if self.campaign.endpoint else "the default"
        note = f"The primary endpoint, {name}, was chosen after the campaign; {declared} was {self.endpoint}."
        changed = {"endpoint": name, "warnings": [*self.campaign.warnings, note]}
        return replace(self, campaign=self.campaign.model_copy(update=changed))

    @cached_property
    def ablations(self) -> dict[str, str]:
        """Label -> what is taken away, of the rows that are ablations; they are tested against their default alone."""
        return dict(self.campaign.ablations.rows) if self.campaign.ablations else {}

    @cached_property
    def ablated(self) -> Entrant | None:
        """The searcher whose parts the ablations take away."""
        of = self.campaign.ablations.of if self.campaign.ablations else None
        return next((s for s in self.campaign.searchers if s.label == of), None)

    @cached_property
    def space(self) -> SearchSpace:
        """The search space of the campaign's benchmark."""
        return registry.find(self.campaign.benchmark).space


def _by_label(records: Iterable[Record]) -> dict[str, list[Record]]:
    of: dict[str, list[Record]] = {}
    for r in records:
        of.setdefault(r.label, []).append(r)
    return of


def shared_at_seeds(results: Results, searchers: Sequence[Entrant]) -> bool:
    """Whether the runs of a seed share more than its number, so that seeds are blocks.

    They do where all are ablations of one searcher, or where all have at each seed one and the same supernet: its
    losses after the search are equal.
    """
    own = results.ablated
    if own is not None and all(s.label == own.label or s.label in results.ablations for s in searchers):
        return True
    by_seed = [{r.seed: r.one_shot.losses for r in results.runs(s.label) if r.one_shot} for s in searchers]
    seeds = set.intersection(*map(set, by_seed)) if by_seed else set()
    return bool(seeds) and all(len({tuple(own[seed]) for own in by_seed}) == 1 and by_seed[0][seed] for seed in seeds)


def scored_by(campaign: Campaign, digits: int = 12) -> str:
    """Where the accuracies come from: the benchmark, its table, the first digits of the table's sha256.

    A table of some cells is said to be one.
    """
    cells = f", {space_held(campaign)}" if is_partial(campaign) else ""
    return origin(campaign.benchmark, campaign.table_source + cells, campaign.table_sha256, digits)


def origin(benchmark: str, source: str, version: str, digits: int = 12) -> str:
    """The sentence that names a benchmark and its table."""
    return f"Scored by {benchmark}: {source}, {version_in_words(version, digits)}"


def version_in_words(version: str, digits: int = 12) -> str:
    """A table's checksum, as many digits of it, or the number of a benchmark that has no table."""
    return f"version {version}" if len(version) < 8 else f"sha256 {version[:digits]}"


def space_held(campaign: Campaign) -> str:
    """The cells that optimum, mean, regret and shares refer to, e.g. "all cells" or "1,000 of 15,625 cells".

    Where the table's columns hold different numbers of cells, "1,000 to 1,200 of 15,625 cells".
    """
    size = registry.find(campaign.benchmark).space.size
    counts = sorted({cells_held(c, campaign) for splits in campaign.space.values() for c in splits.values()})
    if not counts or size is None or counts[0] == size:
        return "all cells"
    number = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{number} of {size:,} cells"


def cells_held(column: Column, campaign: Campaign) -> int:
    """How many cells a column of the table holds; older campaigns do not say, and all of theirs did."""
    return column.cells or registry.find(campaign.benchmark).space.size or 0


def is_partial(campaign: Campaign) -> bool:
    """Whether the table lacks cells."""
    return space_held(campaign) != "all cells"


def trains(campaign: Campaign) -> bool:
    """Whether a campaign has searchers that train supernets."""
    return any(row.kind == "one-shot" for row in campaign.searchers)


def uses_images(campaign: Campaign) -> bool:
    """Whether a campaign has searchers that see images; with the others, precision and threads mean nothing."""
    return any(row.kind in ("one-shot", "training-free") for row in campaign.searchers)


def planned_seeds(searcher: Entrant, campaign: Campaign) -> list[int]:
    """The seeds that a searcher was to run; older campaigns have them once for all searchers."""
    return campaign.seeds if searcher.seeds is None else searcher.seeds


def check_endpoint(name: str, datasets: Sequence[str]) -> None:
    """UserError for a primary endpoint that is neither a data set with scores nor `mean`."""
    if name not in (MEAN, *datasets):
        raise UserError(f"--endpoint {name!r}{suggestion(name, [*datasets, MEAN])}")


MUST_AGREE = ("benchmark", "table_sha256", "preset", "search_dataset")  # else rows cannot stand in one table
SHOULD_AGREE = ("precision", "threads", "versions", "endpoint")


def read(folder: Path) -> tuple[Results, dict[Path, str]]:
    """A campaign's folder, and what is left out of it, as path -> a sentence that says why."""
    campaign = store.load_campaign(folder)
    records, left_out = store.load_records(folder)
    evaluations, faults = store.load_evaluations(folder)
    evaluations = [e for e in evaluations if trained.fits(e, campaign)]
    return Results(campaign, trained.scored(campaign, records, evaluations), evaluations), left_out | faults


def load(folders: Sequence[Path]) -> Results:
    """One or several campaigns' folders as one campaign; records left out are named in its warnings and on stderr.

    UserError where there are no runs, or where the campaigns cannot stand in one table.
    """
    parts = [read(f) for f in folders]
    left_out = [text for _, texts in parts for text in texts.values()]
    for text in left_out:
        tell(f"warning: {text}")
    results = join([part for part, _ in parts], list(map(str, folders)))
    if not results.records:
        raise UserError(
            f"no runs in {', '.join(map(str, folders))} yet: nothing to report.\n"
            f"Start or resume the campaign: {results.campaign.command}"
        )
    warnings = [*results.campaign.warnings, *left_out]
    return replace(results, campaign=results.campaign.model_copy(update={"warnings": warnings}))


def join(parts: Sequence[Results], names: Sequence[str]) -> Results:
    """Several campaigns as one, in the order given; the first one's first searcher is the reference.

    A run that is in several folders counts once, a finished one before a failed one; of runs of one searcher and seed
    that were made in different ways and ended alike the first folder's counts.
    """
    campaigns = reconciled([part.campaign for part in parts])
    records = [part.records for part in parts]
    first = campaigns[0]
    for campaign, name in zip(campaigns[1:], names[1:], strict=True):
        if differing := first_difference(first, campaign, MUST_AGREE):
            key, *values = differing
            raise UserError(
                f"{names[0]} and {name} differ in {key} ({', '.join(values)}): "
                "their numbers do not belong in one table.\nReport them one by one."
            )
    evaluations = list({e.key: e for part in parts for e in part.evaluations}.values())
    if len(campaigns) == 1:
        return Results(first, list(records[0]), evaluations)
    for campaign, name in zip(campaigns[1:], names[1:], strict=True):
        for target in campaign.evaluations.keys() & first.evaluations.keys():
            if not same_training(campaign.evaluations[target], first.evaluations[target]):
                raise UserError(
                    f"{names[0]} and {name} train their answers on {target} in different ways: "
                    "their numbers do not belong in one table.\nReport them one by one."
                )
    kinds: dict[str, str] = {}
    rows: list[Entrant | Record] = [s for c in campaigns for s in c.searchers]
    for row in [*rows, *(r for runs in records for r in runs)]:
        if kinds.setdefault(row.label, row.kind) != row.kind:
            raise UserError(f"{row.spec!r} is {kinds[row.label]} in one folder and {row.kind} in another: "
                            "give imported cells a name of their own")  # fmt: skip
    kept: dict[tuple[str, int], Record] = {}
    others: list[str] = []
    for record in (r for runs in records for r in runs):
        run = (record.label, record.seed)
        before = kept.get(run, record)
        if before is record or (not before.finished and record.finished):
            kept[run] = record
        if before.key != record.key:
            others.append(f"{record.spec} seed {record.seed}")
    warnings = []
    if repeated := sum(map(len, records)) - len(kept) - len(others):
        warnings.append(f"{repeated} run(s) are in several folders and count once.")
    if others:
        examples = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        warnings.append(
            f"{len(others)} run(s) left out: another folder has the same seeds, made in another way ({examples})."
        )
    warnings += [
        f"the campaigns differ in {k}."
        for k in SHOULD_AGREE
        if any(getattr(c, k) != getattr(first, k) for c in campaigns)
    ]
    commands = "\n".join(dict.fromkeys(c.command for c in campaigns))
    joint = {**merged(campaigns), "command": commands, "warnings": warnings}
    return Results(first.model_copy(update=joint), list(kept.values()), evaluations)


def reconciled(campaigns: Sequence[Campaign]) -> list[Campaign]:
    """The campaigns, where a setting that means nothing in one has the value that it has in the others.

    Imported cells alone have no preset, and what sees no images has neither precision nor threads.
    """
    ran = next((c for c in campaigns if c.searchers), campaigns[0])
    trained = next((c for c in campaigns if uses_images(c)), ran)
    setting = {"precision": trained.precision, "threads": trained.threads}
    return [
        c if uses_images(c) else c.model_copy(update=setting | ({} if c.searchers else {"preset": ran.preset}))
        for c in campaigns
    ]


def first_difference(first: Campaign, second: Campaign, keys: Iterable[str]) -> tuple[str, str, str] | None:
    """The first of the keys in which two campaigns differ, and both values in short.

    Of two presets of one name these are what differs between them.
    """
    for key in keys:
        a, b = getattr(first, key), getattr(second, key)
        if a == b:
            continue
        if key != "preset":
            return key, _short(a), _short(b)
        if a.name != b.name:
            return key, a.name, b.name
        settings = a.model_dump(), b.model_dump()
        differing = ({k: v for k, v in x.items() if y.get(k) != v} for x, y in (settings, settings[::-1]))
        return key, *map(str, differing)  # type: ignore[return-value]
    return None


def merged(campaigns: Sequence[Campaign]) -> Mapping[str, Any]:
    """Searchers, seeds, ablations and evaluations of several campaigns.

    Of a label, or of a target, that several have the settings are the last one's, and the seeds those of all.

    UserError where they are ablations of different searchers.
    """
    searchers: dict[str, Entrant] = {}
    for campaign in campaigns:
        for row in campaign.searchers:
            before = searchers.get(row.label)
            seeds = _union(before.seeds or [] if before else [], planned_seeds(row, campaign))
            # a campaign from before the field says of every searcher that it uses its seed
            uses_seed = row.uses_seed and (before is None or before.uses_seed)
            searchers[row.label] = row.model_copy(update={"seeds": seeds, "uses_seed": uses_seed})
    joint: dict[str, Any] = {"searchers": list(searchers.values()), "seeds": _union(*(c.seeds for c in campaigns))}
    if ablations := [c.ablations for c in campaigns if c.ablations]:
        if len({a.of for a in ablations}) > 1:
            raise UserError(f"these are ablations of {' and of '.join(dict.fromkeys(a.of for a in ablations))}: "
                            "make and report them in folders of their own")  # fmt: skip
        rows = {label: name for a in ablations for label, name in a.rows.items()}
        joint["ablations"] = Ablations(of=ablations[0].of, rows=rows)
    if evaluations := merged_evaluations(*(c.evaluations for c in campaigns)):
        joint["evaluations"] = evaluations
    return joint


def merged_evaluations(*each: Mapping[str, Trainings]) -> dict[str, Trainings]:
    """How answers are trained on each target: the last one's way, with the seeds of all that train in this way."""
    joint: dict[str, Trainings] = {}
    for target, how in (item for trainings in each for item in trainings.items()):
        before = joint.get(target)
        seeds = before.seeds if before is not None and same_training(before, how) else []
        joint[target] = how.model_copy(update={"seeds": _union(seeds, how.seeds)})
    return joint


def same_training(a: Trainings, b: Trainings) -> bool:
    """Whether two ways of training differ in nothing but their seeds."""
    return a.model_copy(update={"seeds": b.seeds}) == b


def _union(*seeds: Sequence[int]) -> list[int]:
    return sorted({seed for each in seeds for seed in each})


def _short(value: Any) -> str:
    return str(value) if len(str(value)) <= 24 else str(value)[:12] + "…"
