"""Seeds, labels, counts and margins: one rule for options, files and records."""

import pytest
from pydantic import TypeAdapter, ValidationError

from benchmarks.errors import UserError
from harness import quantities, schema
from harness.compare import compare
from harness.report.notes import Question
from harness.specs import parse_seeds


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


@pytest.mark.parametrize("points", [float("inf"), float("nan"), 0.0, -0.5, 100.0, 200.0])
def test_a_margin_is_between_0_and_100_points(points, tmp_path):
    for take in (quantities.margin, lambda margin: Question(margin=margin), lambda m: compare(tmp_path, tmp_path, m)):
        with pytest.raises(UserError, match=f"--margin {points:g}: accuracy points above 0 and below 100"):
            take(points)
    assert (quantities.margin(0.5), quantities.margin(None)) == (0.5, None)
