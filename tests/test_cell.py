"""Cells against the official order, the official canonical form, and counts that are published."""

import bz2
import csv
import gzip
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.errors import UserError
from benchmarks.nb201 import cell as C

CELLS = [C.from_index(i) for i in range(C.NUM_CELLS)]
ZERO = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
NINE = "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


def test_a_number_of_numpy_s_is_an_index():
    assert C.parse(np.array(284)) == C.parse(np.int64(284)) == C.from_index(284)


def test_every_notation_of_every_cell_round_trips():
    for i, cell in enumerate(CELLS):
        assert C.index(cell) == i
        assert C.from_string(C.to_string(cell)) == cell
        assert C.from_naslib(C.to_naslib(cell)) == cell
    assert len(set(CELLS)) == 15_625


def test_known_indices():
    assert C.to_string(C.from_index(0)) == ZERO
    assert C.to_string(C.from_index(9)) == NINE
    assert C.index((C.SKIP,) * 6) == 1835
    assert C.index((C.NONE,) * 6) == 1651
    assert C.index((C.CONV3, C.CONV3, C.CONV3, C.SKIP, C.CONV3, C.CONV3)) == 9930


def test_order_is_the_official_one(shared):
    official = pickle.loads(  # the project's own reader is not what is tested here; this file is known
        bz2.decompress((shared / "data/nats-bench-sample/NATS-tss-v1_0-3ffb9-simple/meta.pickle.pbz2").read_bytes())
    )
    assert official["meta_archs"] == [C.to_string(cell) for cell in CELLS]


@pytest.mark.case(27)
def test_canonical_form_is_nats_bench_s():
    from nats_bench.genotype_utils import topology_str2structure

    for zero, count in ((True, 6466), (False, 12_751)):
        ours = [C.canonical(cell, zero) for cell in CELLS]
        theirs = [topology_str2structure(C.to_string(cell)).to_unique_str(consider_zero=zero) for cell in CELLS]
        assert len(set(ours)) == len(set(theirs)) == len(set(zip(ours, theirs, strict=True))) == count


def test_canonical_classes_are_those_published_with_the_table(shared):
    with gzip.open(shared / "data/nb201/nb201.csv.gz", "rt") as file:
        published = [row["isomorph_index"] for row in csv.DictReader(file)]
    ours = [C.canonical(cell) for cell in CELLS]
    assert len(set(zip(ours, published, strict=True))) == 6466


@pytest.mark.case(44)
def test_connected_and_collapsed_counts():
    assert sum(C.is_connected(cell) for cell in CELLS) == 15_284  # official check_valid
    assert C.is_collapsed((C.SKIP,) * 6)
    assert C.is_collapsed((C.NONE,) * 6)
    # a convolution that no path reaches: 0→1 is none, so 1→3 is fed by nothing
    assert C.is_collapsed((C.NONE, C.SKIP, C.NONE, C.POOL, C.CONV3, C.SKIP))
    assert not C.is_collapsed((C.SKIP, C.SKIP, C.NONE, C.POOL, C.CONV3, C.SKIP))


def test_edges_in_use_by_hand():
    # 0→1 conv, 0→2 none, 1→2 none, 0→3 skip, 1→3 none, 2→3 pool: only 0→3 leads through
    assert C.edges_in_use((3, 0, 0, 1, 0, 4)) == (False, False, False, True, False, False)
    # 0→1, 1→2, 2→3 is a path; 0→2 none; 0→3 none; 1→3 none
    assert C.edges_in_use((3, 0, 1, 0, 0, 4)) == (True, False, True, False, False, True)


@pytest.mark.case(24)
def test_naslib_tuple_of_the_public_report():
    # NASLib issue 144: (4,0,3,1,4,3) is index 2631; read in string order it would be 15095
    cell = C.parse("naslib:4,0,3,1,4,3")
    assert C.index(cell) == 2631
    assert C.to_string(cell) == (
        "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    )
    naive = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
    assert C.index(tuple(C.OPERATIONS.index(naive[k]) for k in (4, 0, 3, 1, 4, 3))) == 15_095


@pytest.mark.case(30)
@pytest.mark.parametrize(
    "spelling",
    [
        284,
        np.int64(284),
        np.uint16(284),
        "284",
        " 284\n",
        (1, 1, 1, 0, 2, 0),
        np.array([1, 1, 1, 0, 2, 0]),
        "1,1,1,0,2,0",
    ],
)
def test_accepted_spellings(spelling):
    assert C.index(C.parse(spelling)) == 284


GENOTYPE = (
    "[(('avg_pool_3x3', 0),), (('nor_conv_1x1', 0), ('skip_connect', 1)), "
    "(('nor_conv_1x1', 0), ('skip_connect', 1), ('skip_connect', 2))]"
)


@pytest.mark.parametrize(
    "spelling",
    [
        f"Structure(4 nodes with {ZERO})",
        f"genotypes.Structure(4 nodes with {ZERO});",
        f'"{ZERO}"',
        f"'{ZERO}',",
        f"{ZERO};\n",
        f" `Structure(4 nodes with {ZERO})` ",
        "0,",
        '"0";',
        "4,2,1,2,1,1,",
        "421211",
        "[421211]",
        "'421211'",
        "naslib:" + "".join(map(str, C.to_naslib(CELLS[0]))),
        GENOTYPE,
        f'"{GENOTYPE.translate(str.maketrans("[]", "()"))}"',
        [(("avg_pool_3x3", 0),), (("skip_connect", 1), ("nor_conv_1x1", 0)), tuple(zip(
            ("nor_conv_1x1", "skip_connect", "skip_connect"), range(3), strict=True))],
    ],
)  # fmt: skip
def test_spellings_of_search_logs(spelling):
    assert C.index(C.parse(spelling)) == 0


def test_six_joined_digits_are_six_operations_or_have_two_readings():
    """An index has at most five digits, so only one with a zero before it can be meant: as NATS-Bench's files are."""
    ambiguous = 0
    for cell in CELLS:
        text = "".join(map(str, cell))
        try:
            assert C.parse(text) == cell
        except UserError as error:
            ambiguous += 1
            assert f"six operations (write {','.join(text)}) or index {int(text)} with" in str(error)  # noqa: PT017
    # a zero and five digits that make less than 15,625: 0, or 1 and then less than 5,625, where all of four are
    assert ambiguous == 5**4 + 5**4
    for spelled in ("033333", "044444", "100000", "444444"):
        assert C.parse(spelled) == tuple(map(int, spelled))


def test_code_in_a_genotype_is_not_run(tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(UserError, match="begins like a genotype"):
        C.parse(f"[((__import__('pathlib').Path({str(trap)!r}).touch(), 0),)]")
    assert not trap.exists()


def test_white_space_and_swapped_inputs_are_normalised():
    swapped = "|avg_pool_3x3~0|+|skip_connect~1|nor_conv_1x1~0|+|skip_connect~2|nor_conv_1x1~0|skip_connect~1|"
    for text in (" " + ZERO, ZERO + "\n", ZERO.replace("+", " + "), swapped):
        assert C.index(C.parse(text)) == 0


@pytest.mark.case(30)
@pytest.mark.parametrize(
    ("spelling", "named"),
    [
        (ZERO.replace("avg_pool_3x3~0", "conv_3x3~0"), "unknown operation 'conv_3x3' at edge 0→1"),
        (ZERO.replace("skip_connect~2", "skip_connect~1"), "edge 1→3 is given twice"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "edge 2→3 is missing"),
        ("|none~0|+|none~0|none~1|", "expected 3 nodes"),
        ("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|", "node 2 has input 'none~2'"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 must be written"),
        (True, "cell index True"),
        (np.bool_(True), "cell index"),
        (1.0, "cell index 1.0"),
        (15_625, "outside 0 to 15624"),
        (-1, "outside 0 to 15624"),
        ((0, 1, 2, 3, 4, 5), "edge 2→3 is 5"),
        ((0, True, 0, 0, 0, 0), "edge 0→2 is True"),
        ((0, 1), "expected 6 operation numbers"),
        ("nats:1,1,1,0,2,0", "unknown dialect 'nats'"),
        ("naslib:1,1,9,0,2,0", "edge 0→3 is 9"),
        ("", "expected an architecture string"),
        ("abc", "expected an architecture string"),
        ("{'edge': 1}", "expected an architecture string"),
        ("64:64:64:64:64", "a cell of the size space (channels); this program has the topology space"),
        ("8:16:24:32:40;", "size space"),
        ("012104", "six operations (write 0,1,2,1,0,4) or index 12104 with zeros before it (write 12104)"),
        ("000284", "an index has no leading zero; write 284"),
        ("00284", "an index has no leading zero; write 284"),
        ("421511", "outside 0 to 15624"),
        (421211, "outside 0 to 15624"),
        ("Structure(4 nodes with |none~0|)", "expected 3 nodes"),
        ("[(('none', 0),), (('none', 0), ('none', 1))]", "expected 3 nodes"),
        ("[(('none', 0),), (('none', 0), ('nine', 1)), (('none', 0),)]", "unknown operation 'nine' at edge 1→2"),
        ("[(('none', 0),), 3, 4]", "a genotype is three nodes"),
        (r"[(('no\ne', 0),), (('none', 0),)]", "expected an architecture string"),
        ("(((" * 60, "begins like a genotype"),
        ("((" + "9" * 3000, "3,002 characters are more than a cell has"),
    ],
)
def test_anything_else_is_an_error_that_names_the_place(spelling, named):
    with pytest.raises(UserError) as error:
        C.parse(spelling)
    assert named in str(error.value)


@settings(max_examples=300)
@given(st.text(alphabet="|~+ none0123skip_connectavgpool", max_size=80))
def test_parse_gives_a_cell_or_our_own_error(text):
    try:
        cell = C.parse(text)
    except UserError:
        return
    assert C.from_index(C.index(cell)) == cell
