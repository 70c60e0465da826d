"""Tables for readers: groups, marks, escaping in Markdown and LaTeX."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.campaigns import failed, make_campaign, make_record, results_of, two_searchers

from benchmarks import registry
from harness.report import markup, readable

ROOT = Path(__file__).parents[1]

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
    latex = markup.to_latex(table).replace(r"\allowbreak{}", "")
    assert r"\textbackslash{}input\{/etc/passwd\}" in latex
    assert r"\input{" not in latex
    assert r"\$x\textasciicircum{}2\$\&" in latex
    body = latex[latex.index(r"\caption") :].replace("}{%\n", "").replace("% Notes\n", "")
    assert not re.search(r"(?<!\\)[%#]", body)


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
    records += [make_record("local", s, 90.0 + s / 10, "multi-trial") for s in range(5)]  # so that random is a best row
    latex = markup.to_latex(readable.readable_table(results_of(records, campaign)))
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){3-4}", r"\cmidrule(lr){7-8}"):
        assert word in latex
    assert r"\textbf{93.34 $\pm$ 0.88}" in latex
    assert r"\begin{tabular}{@{}l" + "r" * 11 + "@{}}" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn{12}" not in line]
    assert {line.replace(r"\&", "").count("&") for line in rows if not line.startswith(" & ")} == {11}
    assert latex.count("{") == latex.count("}")
    assert latex.index(r"\end{tabular}") < latex.index("Seeds: 0 to 4")  # no float, which would move behind the notes
    assert r"\begin{table}" not in latex


def test_the_first_line_names_the_packages_and_the_bibliography():
    results = results_of(*two_searchers())
    lines = markup.to_latex(readable.readable_table(results)).splitlines()
    assert lines[0] == r"% Needs \usepackage{array,booktabs,graphicx}"
    lines = markup.to_latex(readable.readable_table(results, "GDAS")).splitlines()
    assert lines[0] == r"% Needs \usepackage{array,booktabs,graphicx}, and for \cite \bibliography{published}"


def test_signs_and_letters_have_their_commands_and_others_their_number():
    assert markup.latex_text("α, β ≤ 10⁻¹⁸ – 5 % −") == r"$\alpha$, $\beta$ $\leq$ 10U+207B$^1$$^8$ -- 5 \% $-$"
    assert markup.latex_text("Müller, Łódź") == "Müller, Łódź"
    assert markup.latex_text("中 ą") == "U+4E2D U+0105"  # pdflatex has neither
    assert markup.latex_text("--seeds ---") == "-{}-seeds -{}-{}-"
    assert markup.latex_text("[a] *b") == "{[}a{]} {*}b"


def test_long_words_may_be_broken():
    spec = "gicso[fitness=mixture,guard=false,rescore=false]"
    assert markup.latex_text(spec).split(r"\allowbreak{}") == [
        *("gicso{[}fitness=", "mixture,", "guard=", "false,", "rescore=", "false{]}")
    ]
    assert markup.latex_text("ab" * 32) == r"\allowbreak{}".join(["ab" * 8] * 4)
    assert "allowbreak" not in markup.latex_text("gicso[rescore=false] and many other words")


@given(st.text())
def test_any_text_becomes_letters_that_pdflatex_has(text):
    assert {*markup.latex_text(text)} <= {*map(chr, range(32, 127))} | markup.LATIN


def own_texts():
    """The strings of our modules that are no docstrings and have letters beyond ASCII, and the published rows."""
    for path in (path for package in ("benchmarks", "harness", "searchers") for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        strings = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        yield from (
            n.value for n in strings if id(n) not in plain and not n.value.isascii() and path.name != "markup.py"
        )
    yield from (text for name in registry.names() for row in registry.find(name).published() for text in row.values())


def test_our_own_words_have_no_letter_that_latex_lacks():
    texts = list(own_texts())
    assert any("α" in text for text in texts)
    assert [text for text in texts if "U+" in markup.latex_text(text)] == []


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
@pytest.mark.parametrize("place", ["", "[twocolumn]", "table*"])
def test_pdflatex_takes_it_and_it_fits(tmp_path, place):
    """Long specs, all published rows, every sign of ours, hostile words; in one column, in two, and across both."""
    records, campaign = two_searchers()
    names = ["gicso[fitness=mixture,guard=false,mixture=1.0,rescore=false,weights=best]", HOSTILE[:40]]
    for searcher, name in zip(campaign["searchers"], names, strict=True):
        searcher["spec"] = name
    signs = sorted({c for text in own_texts() for c in text} | markup.LATIN | markup.LATEX.keys() | {"中"})
    table = readable.readable_table(results_of(records, campaign), readable.ALL)
    table.footnotes += [" ".join(signs), HOSTILE, "ab" * 32]
    bare = readable.Group("no scores", [readable.Row("a", "", [readable.Cell("1"), readable.Cell("0.30")])])
    latex = markup.to_latex(table) + markup.to_latex(
        readable.ReadableTable("", [], [bare], counts=["ρ, better half"], costs=[])
    )
    if place == "table*":
        latex = latex.replace("% In two columns", "\\begin{table*}\n%").replace("% Notes\n", "\\end{table*}\n")
    packages = re.search(r"\\usepackage\{.*?\}", latex)[0]
    options = "[twocolumn]" if place else ""
    text = rf"\documentclass{options}{{article}}{packages}\begin{{document}}" + latex + r"\end{document}"
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert not re.search(r"^!|Overfull|too large|Missing character", run.stdout, re.MULTILINE), run.stdout[-3000:]
    assert run.returncode == 0
