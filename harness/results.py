"""A campaign's records as tables, plots, tests and notes read them: whose they are, and which belong together.

`records` and `campaign` are the plain dicts of record.json and campaign.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.errors import UserError
from harness import store
from harness.output import tell

SPLITS = ("valid", "test")
Record = dict[str, Any]
Campaign = dict[str, Any]


def done(records: Iterable[Record]) -> list[Record]:
    """The records of runs that ended with a cell."""
    return [r for r in records if r["status"] == "done"]


def at_chance(record: Record) -> bool:
    """Whether a finished run's supernet knew no more than a guess; of an older record: whether its losses are NaN."""
    losses = (record.get("one_shot") or {}).get("losses", [])
    return record["status"] == "done" and (bool(record.get("at_chance")) or not all(map(math.isfinite, losses)))


def runs_of(records: Iterable[Record], label: str) -> list[Record]:
    """`done` of one searcher."""
    return [r for r in done(records) if r["label"] == label]


def searchers_of(records: Sequence[Record], campaign: Campaign) -> list[dict]:
    """The campaign's searchers in their order, then any that only the records know (imported cells).

    Ablations have a key "ablation", what is taken away.
    """
    names = ablated(campaign)
    known = {s["label"]: s | ({"ablation": names[s["label"]]} if s["label"] in names else {})
             for s in campaign["searchers"]}  # fmt: skip
    for r in records:
        if r["label"] not in known:
            seeds = [o["seed"] for o in records if o["label"] == r["label"]]
            known[r["label"]] = {k: r[k] for k in ("label", "searcher", "spec", "kind", "config")} | {"seeds": seeds}
    return list(known.values())


def scored_by(about: Mapping[str, Any], digits: int = 12) -> str:
    """Where the accuracies come from: the benchmark, its table, the first digits of the table's sha256.

    `about`: a campaign, or its keys benchmark, table_source and table_sha256; with its key space, a table of some cells
    is said to be one.
    """
    held = f", {space_held(about)}" if "space" in about and is_partial(about) else ""
    return f"Scored by {about['benchmark']}: {about['table_source']}{held}, sha256 {about['table_sha256'][:digits]}"


def space_held(campaign: Mapping[str, Any]) -> str:
    """The cells that optimum, mean, regret and shares refer to: "all cells", or "1,000 of 15,625 cells" where the table
    holds only these; where its columns differ, from the fewest to the most.
    """
    size = registry.find(campaign["benchmark"]).space.size
    counts = sorted({cells_held(c, campaign) for splits in campaign["space"].values() for c in splits.values()})
    if not counts or size is None or counts[0] == size:
        return "all cells"
    held = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{held} of {size:,} cells"


def cells_held(summary: Mapping[str, Any], campaign: Mapping[str, Any]) -> int:
    """How many cells a column of the table holds; older campaigns do not say, and all of theirs did."""
    return summary.get("cells") or registry.find(campaign["benchmark"]).space.size or 0


def is_partial(campaign: Mapping[str, Any]) -> bool:
    """Whether the table lacks cells."""
    return space_held(campaign) != "all cells"


def trains(campaign: Campaign) -> bool:
    """Whether a campaign has searchers that train supernets."""
    return any(row["kind"] == "one-shot" for row in campaign["searchers"])


def planned_seeds(searcher: dict, campaign: Campaign) -> list[int]:
    """The seeds a searcher was to run; joined campaigns keep them for each searcher."""
    return searcher["seeds"] if "seeds" in searcher else campaign["seeds"]


def score_columns(records: Sequence[Record], campaign: Campaign) -> list[tuple[str, str]]:
    """All (dataset, split) there are scores of, the benchmark's order first, validation before test."""
    found = [(d, s) for d, splits in campaign["space"].items() for s in SPLITS if s in splits]
    extra = {(s["dataset"], s["split"]) for r in records for s in r["scores"]} - set(found)
    return found + sorted(extra, key=lambda c: (c[0], SPLITS.index(c[1])))


def ablated(campaign: Campaign) -> dict[str, str]:
    """Label -> what is taken away, of the rows that are ablations; they are tested against their default alone."""
    return dict((campaign.get("ablations") or {"rows": {}})["rows"])


def compared(records: Sequence[Record], campaign: Campaign) -> list[dict]:
    """The searchers that are tested against the first of them: all but ablations."""
    return [s for s in searchers_of(records, campaign) if "ablation" not in s]


MUST_AGREE = ("benchmark", "table_sha256", "preset", "search_dataset")  # else rows cannot stand in one table
SHOULD_AGREE = ("precision", "threads", "versions")


def load(folders: Sequence[Path]) -> tuple[Campaign, list[Record]]:
    """One or several campaigns' folders as one campaign; records left out are named in its warnings and on stderr.

    UserError where there are no runs, or where the campaigns cannot stand in one table.
    """
    campaigns = [store.load_campaign(f) for f in folders]
    loaded = [store.load_records(f) for f in folders]
    left_out = [text for _, texts in loaded for text in texts.values()]
    for text in left_out:
        tell(f"warning: {text}")
    campaign, records = join(campaigns, [runs for runs, _ in loaded], [str(f) for f in folders])
    if not records:
        raise UserError(
            f"no runs in {', '.join(map(str, folders))} yet: nothing to report.\n"
            f"Start or resume the campaign: {campaign['command']}"
        )
    return campaign | {"warnings": [*campaign.get("warnings", []), *left_out]}, records


def join(
    campaigns: Sequence[Campaign], records: Sequence[Sequence[Record]], names: Sequence[str]
) -> tuple[Campaign, list[Record]]:
    """Several campaigns as one, in the order given; the first one's first searcher is the reference.

    A run that is in several folders counts once, a finished one before a failed one; of runs of one searcher and seed
    that were made in different ways and ended alike the first folder's counts.
    """
    campaigns = reconciled(campaigns)
    first = campaigns[0]
    for campaign, name in zip(campaigns[1:], names[1:], strict=True):
        if differing := first_difference(first, campaign, MUST_AGREE):
            key, *values = differing
            raise UserError(
                f"{names[0]} and {name} differ in {key} ({', '.join(values)}): "
                "their numbers do not belong in one table.\nReport them one by one."
            )
    if len(campaigns) == 1:
        return first, list(records[0])
    together = merged(campaigns)
    kinds: dict[str, str] = {}
    for row in [s for c in campaigns for s in c["searchers"]] + [r for rs in records for r in rs]:
        if kinds.setdefault(row["label"], row["kind"]) != row["kind"]:
            raise UserError(f"{row['spec']!r} is {kinds[row['label']]} in one folder and {row['kind']} in another: "
                            "give imported cells a name of their own")  # fmt: skip
    kept: dict[tuple[str, int], Record] = {}
    other: list[str] = []
    for record in (r for rs in records for r in rs):
        run = (record["label"], record["seed"])
        before = kept.get(run, record)
        if before is record or (before["status"] != "done" and record["status"] == "done"):
            kept[run] = record
        if before["key"] != record["key"]:
            other.append(f"{record['spec']} seed {record['seed']}")
    joining = []
    if repeated := sum(map(len, records)) - len(kept) - len(other):
        joining.append(f"{repeated} run(s) are in several folders and count once.")
    if other:
        examples = ", ".join(other[:3]) + (" …" if len(other) > 3 else "")
        joining.append(
            f"{len(other)} run(s) left out: another folder has the same seeds, made in another way ({examples})."
        )
    joining += [
        f"the campaigns differ in {k}." for k in SHOULD_AGREE if any(c.get(k) != first.get(k) for c in campaigns)
    ]
    commands = "\n".join(dict.fromkeys(c["command"] for c in campaigns))
    return first | together | {"command": commands, "warnings": joining}, list(kept.values())


def reconciled(campaigns: Sequence[Campaign]) -> list[Campaign]:
    """The campaigns, where a setting that means nothing in one has the value that it has in the others.

    Imported cells alone have no preset, and what trains no supernet has neither precision nor threads.
    """
    ran = next((c for c in campaigns if c["searchers"]), campaigns[0])
    trained = next((c for c in campaigns if trains(c)), ran)
    setting = {key: trained.get(key) for key in ("precision", "threads")}
    return [c if trains(c) else c | setting | ({} if c["searchers"] else {"preset": ran["preset"]}) for c in campaigns]


def first_difference(first: Campaign, second: Campaign, keys: Iterable[str]) -> tuple[str, str, str] | None:
    """The first of the keys in which two campaigns differ, and both values in short.

    Of two presets of one name these are what differs between them.
    """
    for key in keys:
        a, b = first.get(key), second.get(key)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            if a.get("name") != b.get("name"):
                return key, str(a.get("name")), str(b.get("name"))
            a, b = ({k: v for k, v in x.items() if y.get(k) != v} for x, y in ((a, b), (b, a)))
            return key, str(a), str(b)
        return key, _short(a), _short(b)
    return None


def merged(campaigns: Sequence[Campaign]) -> dict[str, Any]:
    """Searchers, seeds and ablations of several campaigns; of a label that several have the last one's settings and the
    seeds of all.

    UserError where they are ablations of different searchers.
    """
    searchers: dict[str, dict[str, Any]] = {}
    for campaign in campaigns:
        for row in campaign["searchers"]:
            seeds = searchers.get(row["label"], {}).get("seeds", [])
            searchers[row["label"]] = row | {"seeds": _union(seeds, planned_seeds(row, campaign))}
    together: dict[str, Any] = {
        "searchers": list(searchers.values()),
        "seeds": _union(*(c["seeds"] for c in campaigns)),
    }
    if ablations := [c["ablations"] for c in campaigns if c.get("ablations")]:
        if len({a["of"] for a in ablations}) > 1:
            raise UserError(f"these are ablations of {' and of '.join(dict.fromkeys(a['of'] for a in ablations))}: "
                            "make and report them in folders of their own")  # fmt: skip
        rows = {label: name for a in ablations for label, name in a["rows"].items()}
        together["ablations"] = {"of": ablations[0]["of"], "rows": rows}
    return together


def _union(*seeds: Sequence[int]) -> list[int]:
    return sorted({seed for each in seeds for seed in each})


def _short(value: Any) -> str:
    return str(value) if len(str(value)) <= 24 else str(value)[:12] + "…"
