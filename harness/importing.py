"""Cells that somebody found with other code: scored, tested and plotted like runs, and marked imported.

A CSV with columns `seed` and `cell` (any spelling that `harness show` takes), one row a search; where known also
`search_seconds` and `search_dataset`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.base import Benchmark, Preset, SearchSpace, identifier
from benchmarks.errors import UserError, suggestion
from benchmarks.files import read_at_most
from harness import locks, options, quantities, scoring, store
from harness.campaign import campaign_of
from harness.cells import identified
from harness.options import Setting
from harness.output import tell
from harness.report.page import write_report
from harness.results import scored_by
from harness.schema import Campaign, Record
from harness.specs import digest
from searchers import catalogue

REQUIRED, OPTIONAL = ("seed", "cell"), ("search_seconds", "search_dataset")
KIND = "imported"
SHOWN = 20  # seeds that are named, where there are more
LONGEST = 1e9  # seconds of a search; a clock that counts from 1970 has more since 2001


def import_cells(
    name: str,
    path: Path,
    folder: Path,
    benchmark: str,
    search_dataset: str | None,
    table: Path | None,
    data: Path | None,
) -> str:
    """`harness import`: the rows of a CSV become records of a campaign, which may be new.

    Returns what was imported, what scored it, and the campaign's table as Markdown.

    The CSV is all that the name has: other runs that were imported under it before are set aside.
    UserError before anything is written where an option, the campaign or the CSV is wrong.
    """
    exists = (folder / "campaign.json").exists()
    campaign = store.load_campaign(folder) if exists else None
    bench, places, how = options.open_benchmark(
        campaign.benchmark if campaign and benchmark == options.AUTO else benchmark, table, data, None, images=False
    )
    dataset = options.search_dataset(bench, search_dataset or (campaign.search_dataset if campaign else None))
    if campaign and dataset != campaign.search_dataset:
        raise UserError(f"--search-dataset {dataset}: the campaign in {folder} searches on {campaign.search_dataset}")
    rows = read_cells(path, dataset, bench.space)
    if campaign is None:
        seeds = [row["seed"] for row in rows]
        setting = Setting(bench, table, tuple(places), dataset, Preset(name=KIND), "none", "none", 0)
        about = options.origin(how, setting) | {"power_note": "imported cells: nothing was planned"}
        campaign = campaign_of(folder, None, setting, [], seeds).model_copy(update=about)
    elif campaign.table_sha256 != bench.version:
        raise UserError(f"{folder} is scored from another table (sha256 {campaign.table_sha256[:12]})")
    check_name(name, campaign)
    records = records_of(name, rows, campaign, bench)
    with locks.campaign_lock(folder):
        if (folder / "campaign.json").exists() != exists:
            raise UserError(f"{folder}: another command made a campaign of it meanwhile; give this one again")
        folder.mkdir(parents=True, exist_ok=True)
        if not exists:
            tell(f"benchmark {bench.name}: {how}")
            store.save(folder, campaign)
        replaced = write_records(folder, name, records)
        write_report([folder], folder / "report")
    answer = f"{name}: {len(records)} imported from {path}. {scored_by(campaign)}\n"
    if replaced:
        answer += f"{_replaced(name, replaced)} in {folder / 'aside'}\n"
    return answer + "\n" + (folder / "report" / "table.md").read_text(encoding="utf-8")


def _replaced(name: str, seeds: list[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]} that was imported under {name} before is replaced; the old one is"
    shown = ", ".join(map(str, seeds[:SHOWN])) + (f" and {len(seeds) - SHOWN} more" if len(seeds) > SHOWN else "")
    return f"seeds {shown} that were imported under {name} before are replaced; the old ones are"


def read_cells(path: Path, dataset: str, space: SearchSpace) -> list[dict[str, Any]]:
    """Rows as {seed, cell (a tuple), search_seconds or None}; UserError naming line, column and value.

    `dataset` is what the campaign searches on: rows of another one do not belong there.
    """
    try:
        text = read_at_most(path, 64).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        return _rows(csv.DictReader(text.splitlines()), path, dataset, space)
    except csv.Error as error:
        raise UserError(f"{path}: not readable as CSV ({error})") from None


def _rows(reader: csv.DictReader[str], path: Path, dataset: str, space: SearchSpace) -> list[dict[str, Any]]:
    header = [(name or "").strip() for name in reader.fieldnames or []]
    for name in header:
        if header.count(name) > 1:
            raise UserError(f"{path}: column {name!r} is there twice")
        if name not in REQUIRED + OPTIONAL:
            raise UserError(f"{path}: unknown column {name!r}{suggestion(name, [*REQUIRED, *OPTIONAL])}")
    for name in REQUIRED:
        if name not in header:
            raise UserError(f"{path}: no column {name!r}; needed are seed,cell and allowed {', '.join(OPTIONAL)}")
    rows: list[dict[str, Any]] = []
    reader.fieldnames = header
    for entry in reader:
        where = f"{path} line {reader.line_num}"
        if None in entry or None in entry.values():
            raise UserError(f"{where}: expected {len(header)} values; a cell with commas needs quotes")
        value = {name: text.strip() for name, text in entry.items()}
        seed = quantities.seed(value["seed"], where)
        if any(row["seed"] == seed for row in rows):
            raise UserError(f"{where}: seed {seed} is given twice")
        if value.get("search_dataset", dataset) not in ("", dataset):
            raise UserError(f"{where}: searched on {value['search_dataset']!r}, this campaign on {dataset!r}")
        try:
            cell = space.parse(value["cell"])
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        rows.append({"seed": seed, "cell": cell, "search_seconds": _seconds(value.get("search_seconds", ""), where)})
    if not rows:
        raise UserError(f"{path}: no rows under its header")
    return rows


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise UserError(f"{where}: search_seconds {text!r}: expected seconds, or nothing where unknown")
    if seconds > LONGEST:
        guess = "a time of day, counted from 1970? write how long the search took"
        raise UserError(f"{where}: search_seconds {text!r}: over 30 years: {guess}")
    return seconds


def check_name(name: str, campaign: Campaign) -> None:
    """UserError for a name that cannot be a folder's, or is a searcher's, whose runs may join the campaign later."""
    quantities.label(name, "name")
    if name in (*catalogue.names(), *(s.label for s in campaign.searchers)):
        raise UserError(f"{name!r} is a searcher; give the imported cells another name")


def records_of(name: str, rows: list[dict[str, Any]], campaign: Campaign, benchmark: Benchmark) -> list[Record]:
    """A record for each row; the costs of the search are unknown, as it was none of ours."""
    records, space = [], benchmark.space
    for row in rows:
        cell, seconds = row["cell"], row["search_seconds"]
        scores = scoring.scores(benchmark, cell)
        # There are no alphas to derive another cell from.
        unchanged = [score.model_copy(update={"without_none": True}) for score in scores]
        records.append(
            Record(
                searcher=name,
                label=name,
                spec=name,
                kind=KIND,
                config={},
                seed=row["seed"],
                benchmark=campaign.benchmark,
                search_dataset=campaign.search_dataset,
                table_sha256=campaign.table_sha256,
                key=digest([name, row["seed"], identifier(space, cell), seconds, campaign.table_sha256]),
                **identified(space, cell),
                **identified(space, cell, "_without_none"),
                scores=scores + unchanged,
                search_seconds=seconds,
                simulated_seconds=None,
                evaluations=None,
                train_images=None,
                eval_images=None,
                collapsed=space.is_collapsed(cell),
                disconnected=not space.is_connected(cell),
                status="done",
            )
        )
    return records


def write_records(folder: Path, name: str, records: Sequence[Record]) -> list[int]:
    """Write the records as the runs of a name; other runs of that name are set aside, and their seeds returned.

    Folders of another name than runs have, as copies do, stay where they are.
    """
    new = {store.run_folder(folder, name, record.seed): record for record in records}
    replaced = []
    old = {where: re.fullmatch("seed-([0-9]+)", where.name) for where in (folder / "runs" / name).glob("seed-*")}
    for where, seed in sorted(old.items()):
        if seed is None:
            continue
        kept = where in new and store.record_of(where, new[where].key) is not None
        if kept:
            del new[where]
        elif (where / "record.json").exists():
            store.set_aside(where)
            replaced.append(int(seed[1]))
    for where, record in new.items():
        where.mkdir(parents=True, exist_ok=True)
        store.save(where, record)
    return sorted(replaced)
