"""All tables of a campaign for readers, in order."""

from __future__ import annotations

from harness.report import readable
from harness.report.literature import readable_literature
from harness.report.notes import UNPAIRED, Question
from harness.report.rank_check import readable_rank_check
from harness.results import Results


def readable_tables(
    results: Results,
    published: str | None = None,
    question: Question = UNPAIRED,
    frames: readable.Frames | None = None,
) -> list[readable.ReadableTable]:
    """The main table, then each of the others where there is something to show. Arguments as of `readable_table`."""
    frames = frames or readable.frames_of(results, question)
    beside = published if readable.has_literature(results) else None
    tables = [
        readable.readable_table(results, published, question, frames),
        readable_literature(results, frames, beside) if beside else None,
        readable.readable_ablations(frames.ablations) if len(frames.ablations) else None,
        readable.readable_trainings(results) if results.campaign.evaluations else None,
        readable_rank_check(results),
    ]
    return [table for table in tables if table is not None]
