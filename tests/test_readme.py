"""The READMEs: short enough, nothing that they name is missing, and what they show runs and is what was measured."""

import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer

from harness import cli, store
from harness.specs import parse_specs
from searchers import base, catalogue, plugins

ROOT = Path(__file__).parents[1]
FOLDERS = ("harness", "searchers", "benchmarks", "results", "tests")
READMES = [ROOT / "README.md", *(path for name in FOLDERS for path in sorted((ROOT / name).rglob("README.md")))]
NAMES = [str(path.relative_to(ROOT)) for path in READMES]
TOP = READMES[0].read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(rf"(?<![\w./<…-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
CAMPAIGN = re.compile(r"results/(nb201|digits201)-(smoke|small|paper)")  # where commands write by default
CODE = re.compile(r"^```sh\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)


@pytest.fixture(params=READMES, ids=NAMES)
def readme(request):
    return request.param


def anchors(path):
    """Of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text):
    """The words of each `harness COMMAND …` in a text's code, comments and line ends by a backslash aside."""
    for block, span in CODE.findall(text):
        for line in (block or span).replace("\\\n", " ").replace("\\|", "|").splitlines():
            for part in re.split(r"&&|;", line.partition(" #")[0]):
                if part.strip().startswith("harness "):
                    yield shlex.split(part)[1:]


def table_after(text, heading):
    """Cells of the first table after a heading, a dict by column a row."""
    lines = text.partition(f"\n## {heading}\n")[2].splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


# ------------------------------------------------------------------------------------------------- what is named


def test_the_first_readme_is_short():
    assert len(TOP.encode()) <= 9000
    assert TOP.count("\n") <= 150
    assert [line for line in TOP.splitlines() if len(line) > 120] == []


def test_links_lead_somewhere(readme):
    for target in LINK.findall(readme.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (readme.parent / name).resolve() if name else readme
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_paths_that_are_named_exist(readme):
    text = LINK.sub("]", readme.read_text(encoding="utf-8"))
    missing = {path for path in PATH.findall(text) if not (ROOT / path).exists() and not CAMPAIGN.match(path)}
    assert missing <= {"results/first-small"}  # the lab book says until when it was there


def test_commands_that_are_named_exist(readme):
    app = typer.main.get_command(cli.app)
    for words in commands(readme.read_text(encoding="utf-8")):
        if words[0].startswith("-"):
            assert words[0] in {option for parameter in app.params for option in parameter.opts}
            continue
        command, rest = app.commands[words[0]], words[1:]
        if hasattr(command, "commands"):
            assert set(rest[0].split("|")) <= set(command.commands), words
            command, rest = command.commands[rest[0].split("|")[0]], rest[1:]
        options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        named = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert named <= options, words


def test_every_command_stands_in_the_first_readme():
    named = {words[0] for words in commands(TOP)}
    assert named == set(typer.main.get_command(cli.app).commands)


def test_every_searcher_has_a_row():
    rows = table_after(TOP, "Searchers")
    assert {row["name"].strip("`"): row["kind"] for row in rows} == {
        name: catalogue.find(name).kind for name in base.SEARCHERS
    }
    for row in rows:
        module = base.SEARCHERS[row["name"].strip("`")].partition(":")[0]
        assert f"({module.replace('.', '/')}.py)" in row["file"]
    listed = {
        name.partition("[")[0]
        for row in table_after((ROOT / "searchers/README.md").read_text(encoding="utf-8"), "The searchers")
        for name in re.findall("`([^`]+)`", row["name"])
    }
    assert listed == set(base.SEARCHERS)


def test_searchers_of_the_first_readme_s_commands_exist():
    for words in commands(TOP):
        if words[0] == "run" and "SPEC" not in words[2]:
            specs = [name for name in words[words.index("--searchers") + 1].split(",") if name != "jump"]
            assert len(parse_specs(",".join(specs))) == len(specs)


def test_the_test_command_is_where_ci_looks_for_it():
    block = re.search(r"^<!-- test command -->\n```sh\n(.*?)^```$", TOP, re.DOTALL | re.MULTILINE)
    assert "pytest" in block[1]
    assert len(block[1].splitlines()) == 1


# ------------------------------------------------------------------------------------------------- what is shown


@pytest.mark.parametrize(
    ("name", "heading", "campaign"),
    [
        ("README.md", "What it says", "nb201-small"),
        ("results/README.md", "One-shot searchers on NAS-Bench-201", "nb201-small"),
        ("results/README.md", "Five searchers on digits201", "digits201-small"),
    ],
)
def test_tables_are_those_of_the_campaigns(name, heading, campaign):
    report = ROOT / "results" / "reference" / campaign / "report"
    table = pd.read_csv(report / "table.csv")
    collapsed = pd.read_csv(report / "diagnostics.csv").set_index("label")["collapsed"]
    label_of = dict(zip(*pd.read_csv(report / "runs.csv")[["spec", "label"]].T.values, strict=True))
    short = {"C10": "cifar10", "C100": "cifar100", "IN16": "ImageNet16-120", "digits201": "digits201"}
    rows = table_after((ROOT / name).read_text(encoding="utf-8"), heading)
    checked = 0
    for row in rows:
        if row["method"] == "gicso (seeds 5 to 9)":
            own = pd.read_csv(ROOT / "results/gicso-study/cifar10-fresh-seeds/report/runs.csv")
            for column, dataset in short.items():
                if f"{column} test" in row:
                    scores = own[f"{dataset} test"]
                    assert row[f"{column} test"] == f"{scores.mean():.2f} ± {scores.std():.2f}", column
            assert row["collapsed"] == f"{own['collapsed'].sum()} of {len(own)}"
            continue
        spec = row["method"].partition(" (")[0]
        if spec not in label_of:
            assert spec in ("optimum of the table", "mean of all cells")
            continue
        own = table[table["label"] == label_of[spec]]
        for column, text in row.items():
            dataset, _, split = column.partition(" ")
            if dataset in short and split in ("valid", "test"):
                value = own[(own["dataset"] == short[dataset]) & (own["split"] == split)].iloc[0]
                spread = f" ± {value['std']:.2f}" if value["n"] > 1 else ""
                assert text == f"{value['mean']:.2f}{spread}", (spec, column)
                checked += 1
        if "collapsed" in row:
            assert row["collapsed"] == f"{collapsed[label_of[spec]]:.0f} of {own['n'].iloc[0]}", spec
        seconds, _, simulated = row["search s"].partition(" (")
        assert float(seconds.replace(",", "")) == pytest.approx(own["search_seconds"].iloc[0], rel=0.1)
        assert simulated in ("", f"{own['simulated_seconds'].iloc[0]:,.0f} simulated)")
    assert checked >= 8


def test_the_searcher_in_the_first_readme_runs_to_the_end(harness, tmp_path, monkeypatch):
    section = TOP.partition("\n## A searcher of your own\n")[2]
    code = re.search("^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)[1]
    assert sum(bool(line.strip()) for line in code[code.index("class ") :].splitlines()) <= 15
    group, point = re.search(
        r'`\[project\.entry-points\."([\w.]+)"\]`.*?`(\w+ = "[\w:]+")`', section, re.DOTALL
    ).groups()
    file, module = re.search(r"`(\w+)\.py` of your own package", section)[1], point.partition('"')[2].partition(":")[0]
    assert file == module
    info = tmp_path / "site" / "jump-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jump\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{point.replace(chr(34), '')}\n")
    (info / "RECORD").write_text(f"{module}.py,,\n")
    (tmp_path / "site" / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    plugins.origin.cache_clear()
    out = tmp_path / "campaign"
    try:
        code, _, err = harness(
            *["run", "--searchers", "jump,random", "--seeds", 1, "--preset", "smoke"],
            *["--benchmark", "digits201", "--workers", 1, "--out", out],
        )
    finally:
        sys.modules.pop(module, None)
        plugins.origin.cache_clear()
    assert code == 0, err
    records = {record.searcher: record for record in store.load_records(out)[0]}
    assert records["jump"].environment["plugin"] == "jump 1.0"
    assert records["jump"].evaluations == records["jump"].steps > 3
    assert 0 < records["jump"].simulated_seconds <= 35
