"""The notation of DARTS' code is parsed, never evaluated."""

import json

import pytest

from benchmarks.darts import genotype
from benchmarks.errors import UserError

TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=range(2, 6))"
)  # DARTS_V1 as quark0/darts prints it


def test_the_usual_notation_is_read_and_written_letter_by_letter():
    read = genotype.from_text(TEXT)
    assert read == genotype.published()["DARTS_V1"]
    assert str(read) == TEXT


def test_positional_fields_lists_and_a_missing_concatenation_are_read():
    first = genotype.from_text(TEXT)
    normal, reduce = list(first.normal), list(first.reduce)
    assert genotype.from_text(f"Genotype({normal}, [2, 3, 4, 5], {reduce}, [2, 3, 4, 5])") == first
    assert genotype.from_text(f"Genotype(normal={normal}, reduce={reduce})") == first


def test_every_published_genotype_survives_its_own_notation():
    for name, value in genotype.published().items():
        assert genotype.from_text(str(value)) == value, name


def test_published_genotypes_outside_the_space_keep_their_five_nodes():
    nasnet = genotype.published()["NASNet"]
    assert len(nasnet.normal) == 10
    assert nasnet.reduce_concat == (4, 5, 6)
    assert "reduce_concat=range(4, 7)" in str(nasnet)
    assert "reduce_concat=[3, 4, 6]" in str(genotype.published()["AmoebaNet"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Genotype(", "was never closed"),
        ("dict(normal=1)", "expected Genotype"),
        ("Genotype(normal=[('sep_conv_3x3', 0)], reduce=[])", "normal: expected a list of .*, two a node"),
        (TEXT.replace("'sep_conv_3x3', 1", "'conv_9x9', 1"), "node 2 has operation 'conv_9x9'"),
        (TEXT.replace("('skip_connect', 2)]", "('skip_connect', 5)]"), "node 5 has input 5; expected 0 to 4"),
        (TEXT.replace("range(2, 6)", "range(2, 9)"), "normal_concat names nodes from 2 to 5"),
        (TEXT.replace("range(2, 6)", "range(10**9)"), "is no literal|small numbers"),
        (TEXT.replace("range(2, 6)", "__import__('os').getcwd()"), "is no literal"),
        (TEXT.replace("normal_concat", "normal_concats"), "expected the fields normal, normal_concat"),
    ],
)
def test_what_is_wrong_is_named(text, problem):
    with pytest.raises(UserError, match=problem) as error:
        genotype.from_text(text)
    assert "\n" not in str(error.value)


def test_a_call_inside_is_not_executed(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(UserError):
        genotype.from_text(f"Genotype(normal=open({str(target)!r}, 'w'), reduce=[])")
    assert not target.exists()


def test_the_file_of_genotypes_has_what_its_sources_have(shared):
    path = shared / "data/darts/genotypes.json"
    if not path.exists():
        pytest.skip("needs shared/data/darts")
    assert json.loads(path.read_text()) == json.loads(
        (genotype.Path(genotype.__file__).with_name("genotypes.json")).read_text()
    )
