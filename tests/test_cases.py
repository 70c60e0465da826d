"""What users of NAS-Bench-201 tooling trip over (a collection of public reports, by number): each case has its test.

A test says by `@pytest.mark.case(12)` which cases it is for.
"""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WITHOUT_TEST = {
    21: "the proxy is the mean of its trials, one way for everybody; no option",
    40: "the collection itself says that a numpy-only core does not apply",
    42: "pyproject.toml turns our modules' DeprecationWarnings into errors in every test",
    59: "the collection itself says that a search over several ranks does not apply",
    85: "every score is an accuracy in percent, higher is better; nothing else is compared",
}


def marked(path):
    """The numbers of cases with which tests of a module are marked."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.case":
            yield from (argument.value for argument in node.args)


def test_every_case_has_a_test_and_every_mark_a_case(shared):
    collection = shared / "CASES.md"
    if not collection.is_file():
        pytest.skip(f"no collection of cases: {collection} does not exist")
    first_part = collection.read_text(encoding="utf-8").partition("\n# Second part")[0]
    cases = {int(number) for number in re.findall(r"^(\d+)\. ", first_part, re.MULTILINE)}
    with_test = {number for path in HERE.rglob("test_*.py") for number in marked(path)}
    assert len(cases) > 60
    assert sorted(cases - with_test) == list(WITHOUT_TEST)
    assert with_test <= cases
