"""SPECs and seeds of the command line, and what is said of wrong ones."""

import pytest
from pydantic import TypeAdapter, ValidationError

from benchmarks.errors import UserError
from harness import quantities, schema
from harness.compare import compare
from harness.report.notes import Asked
from harness.specs import parse_seeds, parse_specs
from searchers import base


def test_specs():
    specs = parse_specs("darts, gicso[population={12,24},swarm=cso],random", ["gicso.diversity=0"])
    assert [s.text for s in specs] == [
        "darts",
        "gicso[diversity=0.0,population=12,swarm=cso]",
        "gicso[diversity=0.0,swarm=cso]",
        "random",
    ]
    assert [s.label for s in specs][::3] == ["darts", "random"]
    assert all(s.label.startswith("gicso-") and len(s.label) == 14 for s in specs[1:3])
    assert parse_specs("gicso[population=24]")[0].label == "gicso"  # the default, spelled out
    assert parse_specs("cso-table")[0].kind == "multi-trial"


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("darts,,random", [], "an empty name"),
        ("dartz", [], "did you mean 'darts'"),
        ("gicso[population=24", [], "'\\[' is not closed"),
        ("gicso]", [], "unbalanced ']'"),
        ("gicso[population]", [], "expected key=value"),
        ("gicso[populations=24]", [], "did you mean 'population'"),
        ("gicso[population=abc]", [], "population='abc'"),
        ("darts,darts", [], "'darts' is given twice"),
        ("darts", ["gicso.population=12"], "'gicso' is not among the searchers"),
        ("darts", ["alpha_lr=1"], "expected searcher.key=value"),
    ],
)
def test_wrong_specs_are_named(text, overrides, message):
    with pytest.raises(UserError, match=message):
        parse_specs(text, overrides)


def test_seeds():
    assert parse_seeds("5") == [0, 1, 2, 3, 4]
    assert parse_seeds("3,7,11") == [3, 7, 11]
    assert parse_seeds("3,") == [3]
    assert len(set(parse_seeds("500"))) == 500
    for wrong in ("0", "-1", "a", "1,1", "1.5", "", "1,,2", ","):
        with pytest.raises(UserError):
            parse_seeds(wrong)


def test_a_seed_a_label_and_a_count_have_one_rule_everywhere():
    """What `run` and `import` take a record may hold, and the limit is named."""
    largest = 10**15 - 1
    seeds, labels = TypeAdapter(schema.Seed), TypeAdapter(schema.Label)
    assert parse_seeds(f"{largest},0") == [largest, 0]
    assert quantities.seed(str(largest), "line 2") == quantities.seed(f"000{largest}", "line 2") == largest
    assert seeds.validate_python(largest) == largest
    with pytest.raises(UserError, match=f"from 0 to {largest}"):
        parse_seeds(f"{largest + 1},")
    with pytest.raises(UserError, match=f"line 2: seed '{largest + 1}': seeds are whole numbers from 0 to {largest}"):
        quantities.seed(str(largest + 1), "line 2")
    with pytest.raises(ValidationError, match=f"less than or equal to {largest}"):
        seeds.validate_python(largest + 1)
    for label in ("a", "random.bak", "gicso-e43851f9", "A+b_1", "9" * 64):
        assert labels.validate_python(quantities.label(label, "name")) == label
    for label in ("", ".", "../x", "a b", "-a", "x\n", "é", "9" * 65):
        with pytest.raises(UserError, match="at most 64 letters, digits"):
            quantities.label(label, "name")
        with pytest.raises(ValidationError):
            labels.validate_python(label)
    assert quantities.count(100_000, "--seeds") == len(parse_seeds("100000"))
    with pytest.raises(UserError, match="from 1 to 100000; the single seed 100001 is --seeds 100001,"):
        parse_seeds("100001")


def test_a_searcher_whose_name_cannot_be_a_folder_is_refused(monkeypatch):
    monkeypatch.setitem(base.SEARCHERS, "my searcher", base.SEARCHERS["random"])
    with pytest.raises(UserError, match="searcher 'my searcher': as it names a folder"):
        parse_specs("my searcher")


@pytest.mark.parametrize("points", [float("inf"), float("nan"), 0.0, -0.5, 100.0, 200.0])
def test_a_margin_is_between_0_and_100_points(points, tmp_path):
    for take in (quantities.margin, lambda margin: Asked(margin=margin), lambda m: compare(tmp_path, tmp_path, m)):
        with pytest.raises(UserError, match=f"--margin {points:g}: accuracy points above 0 and below 100"):
            take(points)
    assert (quantities.margin(0.5), quantities.margin(None)) == (0.5, None)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("gicso[population=12,population=24]", []),
        ("gicso[population={12,24}],gicso", ["gicso.population=18"]),
    ],
)
def test_a_setting_given_twice_is_refused(text, overrides):
    with pytest.raises(UserError, match="population is given twice"):
        parse_specs(text, overrides)


@pytest.mark.parametrize("value", ["inf", "1e400", "nan"])
def test_settings_are_finite(value):
    with pytest.raises(UserError, match="alpha_lr"):
        parse_specs(f"darts[alpha_lr={value}]")
