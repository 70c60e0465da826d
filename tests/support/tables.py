"""Tables and pages as tests read them: cells by heading, the words of a page."""

from __future__ import annotations

from html.parser import HTMLParser

from harness.report import anytime, contrasts, frames, page, readable
from harness.report.tables import readable_tables
from support.campaigns import results_of


def cells_of(table: readable.ReadableTable, method: str) -> dict[str, readable.Cell]:
    row = next(r for g in table.groups for r in g.rows if r.method == method)
    return dict(zip(table.headings[1:], row.cells, strict=True))


class Page(HTMLParser):
    """Tags, the addresses they load, and the text of a page; fails on tags that do not match."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def words_of(records, campaign, folder, question=page.UNPAIRED):
    """The page's text; its plots, which take seconds, are one empty drawing."""
    (folder / "plot.svg").write_text("<svg/>")
    results = results_of(records, campaign)
    tables = readable.frames_of(results, question)
    written = readable_tables(results, question=question, frames=tables)
    more = (contrasts.ranks_table(results), frames.diagnostics(results), anytime.anytime_table(results))
    plots = dict.fromkeys(page.PLOTS, folder / "plot.svg")
    return Page(page.to_html(results, question, written, tables, *more, plots)).words
