"""SPECs and seeds of the command line, and what is said of wrong ones."""

import pytest

from benchmarks.errors import UserError
from harness.specs import parse_ablations, parse_seeds, parse_specs
from searchers import base, catalogue


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


@pytest.mark.case(75, 78)
def test_seeds():
    assert parse_seeds("5") == [0, 1, 2, 3, 4]
    assert parse_seeds("3,7,11") == [3, 7, 11]
    assert parse_seeds("3,") == [3]
    assert len(set(parse_seeds("500"))) == 500
    for wrong in ("0", "-1", "a", "1,1", "1.5", "", "1,,2", ","):
        with pytest.raises(UserError):
            parse_seeds(wrong)


def test_a_searcher_whose_name_cannot_be_a_folder_is_refused(monkeypatch):
    monkeypatch.setitem(base.SEARCHERS, "my searcher", base.SEARCHERS["random"])
    with pytest.raises(UserError, match="searcher 'my searcher': as it names a folder"):
        parse_specs("my searcher")


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


def test_every_declared_ablation_is_a_valid_and_different_setting():
    able = [name for name in catalogue.names() if catalogue.find(name).ablations]
    assert {"gicso", "darts"} <= set(able)
    for name in able:
        specs, rows = parse_ablations(name)
        assert [s.label for s in specs[1:]] == list(rows)
        assert list(rows.values()) == list(catalogue.find(name).ablations)


def test_an_ablated_spec_keeps_its_other_settings_and_leaves_out_what_it_lacks_already():
    specs, rows = parse_ablations("gicso[population=12,diversity=0]")
    assert all(spec.config["population"] == 12 for spec in specs)
    assert "no diversity term" not in rows.values()
    assert "no stability phase" in rows.values()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gicso,darts", "one searcher is ablated at a time"),
        ("random", "'random' declares no ablations.*gicso"),
        ("cso-table", "'cso-table' declares no ablations"),
    ],
)
def test_what_cannot_be_ablated(text, message):
    with pytest.raises(UserError, match=message):
        parse_ablations(text)
