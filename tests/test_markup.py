"""Tables for readers: groups, marks, escaping in Markdown and LaTeX."""

from __future__ import annotations

import re

from support.campaigns import failed, make_campaign, make_record, results_of, two_searchers

from harness.report import markup, readable

HOSTILE = "a|b*c_d`e<script>alert(1)</script>$x^2$&{\\input{/etc/passwd}}%#~"


def test_hostile_text_stays_text():
    records = [failed("gicso", 0, HOSTILE), *(make_record("gicso", s, 93.0, spec=HOSTILE) for s in (1, 2))]
    campaign = make_campaign({"gicso": "one-shot"}, [0, 1, 2])
    campaign["searchers"][0]["spec"] = HOSTILE
    table = readable.readable_table(results_of(records, campaign))
    markdown = markup.to_markdown(table)
    assert "<script>" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert bars == {len(table.headings) + 1}  # no row gained a cell
    latex = markup.to_latex(table)
    assert r"\textbackslash{}input\{/etc/passwd\}" in latex
    assert r"\input{" not in latex
    assert r"\$x\textasciicircum{}2\$\&" in latex
    assert not re.search(r"(?<!\\)[%#]", latex.replace(r"{\linewidth}{!}{%", ""))


def test_markdown_escapes_the_words_of_records_and_not_our_own_marks():
    records = [make_record("gicso", 0, 93.0), failed("gicso", 1, "no `x` in {a|b} [c](d) __e__")]
    markdown = markup.to_markdown(
        readable.readable_table(results_of(records, make_campaign({"gicso": "one-shot"}, [0, 1])))
    )
    assert "- **Warning:** No random searcher in this campaign" in markdown
    assert (
        r"- **Warning:** gicso: 1 of 2 seeds: 1 failed (no \`x\` in {a\|b} [c]\(d) \_\_e\_\_); the rest is reported."
        in markdown
    )


def test_latex_is_a_booktabs_table_of_equal_rows():
    records, campaign = two_searchers()
    latex = markup.to_latex(readable.readable_table(results_of(records, campaign)))
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){3-4}", r"\cmidrule(lr){7-8}"):
        assert word in latex
    assert r"\textbf{93.34 $\pm$ 0.88}" in latex
    assert r"\begin{tabular}{l" + "r" * 11 + "}" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn{12}" not in line]
    assert {line.replace(r"\&", "").count("&") for line in rows if not line.startswith(" & ")} == {11}
    assert latex.count("{") == latex.count("}")
    assert latex.index(r"\end{tabular}") < latex.index("Seeds: 0 to 4")  # no float, which would move behind the notes
    assert r"\begin{table}" not in latex
