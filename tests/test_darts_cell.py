"""Every spelling of a cell of the DARTS space leads to the same tuple, and back."""

import csv
import gzip

import numpy as np
import pytest

from benchmarks.darts import cell as C
from benchmarks.darts import genotype, space
from benchmarks.errors import UserError

V2 = "DARTS_V2"
V2_STRING = (
    "|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|+"
    "|skip_connect~0|dil_conv_3x3~2|/|max_pool_3x3~0|max_pool_3x3~1|+|max_pool_3x3~1|skip_connect~2|+"
    "|max_pool_3x3~0|skip_connect~2|+|max_pool_3x3~1|skip_connect~2|"
)  # by hand from quark0/darts' genotypes.py, inputs in ascending order


def test_the_edges_and_their_rows_by_hand():
    assert C.EDGES[:5] == tuple(C.Edge("normal", *pair) for pair in [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
    assert C.EDGES[13] == C.Edge("normal", 4, 5)
    assert C.EDGES[14] == C.Edge("reduce", 0, 2)
    assert [(rows.start, rows.stop) for rows in C.INCOMING[4:]] == [(14, 16), (16, 19), (19, 23), (23, 28)]


def test_the_number_of_cells():
    """Of a node with k possible inputs k(k − 1)/2 pairs: 1·3·6·10 = 180, times 7 operations on 8 edges, squared."""
    assert C.NUM_CELLS == (180 * 7**8) ** 2


def test_a_published_cell_by_name_and_in_our_string():
    assert C.to_string(C.parse(V2)) == V2_STRING
    assert C.parse("darts_v2") == C.parse(V2_STRING) == C.parse(f" {V2_STRING}\n")


def test_naslibs_compact_form_of_a_published_cell():
    """Operations there: max_pool 0, avg_pool 1, skip 2, sep3 3, sep5 4, dil3 5, dil5 6."""
    normal = ((0, 3), (1, 3), (0, 3), (1, 3), (0, 2), (1, 3), (0, 2), (2, 5))
    reduce = ((0, 0), (1, 0), (1, 0), (2, 2), (0, 0), (2, 2), (1, 0), (2, 2))
    assert C.to_naslib(C.parse(V2)) == (normal, reduce)
    assert C.parse((normal[::-1][6:] + normal[2:], list(reduce))) == C.parse(V2)  # node 2's inputs the other way round


def test_nas_bench_301s_configuration_of_a_published_cell():
    """Edges are numbered 0 to 13 in each cell: node 2 has 0 and 1, node 3 2 to 4, node 4 5 to 8, node 5 9 to 13."""
    key = "NetworkSelectorDatasetInfo:darts:"
    configuration = C.to_nb301(C.parse(V2))
    assert configuration[f"{key}inputs_node_normal_5"] == "0_2"
    assert configuration[f"{key}edge_normal_9"] == "skip_connect"
    assert configuration[f"{key}edge_normal_11"] == "dil_conv_3x3"
    assert configuration[f"{key}inputs_node_reduce_3"] == "1_2"
    assert len(configuration) == 16 + 6
    assert C.parse(configuration) == C.parse(V2)


def test_all_spellings_of_random_cells_lead_back():
    rng = np.random.default_rng(0)
    for _ in range(50):
        cell = space.sample(rng)
        spellings = [C.to_string(cell), C.to_genotype(cell), C.to_naslib(cell), C.to_nb301(cell), cell, list(cell)]
        spellings += [str(spelling) for spelling in spellings[1:]]
        assert {C.parse(spelling) for spelling in spellings} == {cell}


def test_the_order_of_a_nodes_inputs_means_nothing():
    swapped = V2_STRING.replace("|skip_connect~0|dil_conv_3x3~2|", "|dil_conv_3x3~2|skip_connect~0|")
    assert swapped != V2_STRING
    assert C.parse(swapped) == C.parse(V2)


def test_nodes_that_change_places_are_one_cell():
    """Nodes 2 and 3 read the same two inputs here, so that which of them is called 2 decides nothing."""
    tail = "+|sep_conv_3x3~0|skip_connect~{a}|+|dil_conv_3x3~1|skip_connect~{b}|/"
    reduce = V2_STRING.split("/")[1]
    one = "|sep_conv_3x3~0|skip_connect~1|+|avg_pool_3x3~0|dil_conv_5x5~1|" + tail.format(a=2, b=3) + reduce
    other = "|avg_pool_3x3~0|dil_conv_5x5~1|+|sep_conv_3x3~0|skip_connect~1|" + tail.format(a=3, b=2) + reduce
    assert C.parse(one) != C.parse(other)
    assert C.canonical(C.parse(one)) == C.canonical(C.parse(other))
    assert C.canonical(C.parse(one)) != C.canonical(C.parse(V2))


@pytest.mark.parametrize(
    ("spelling", "problem"),
    [
        ("DARTS_V3", r"unknown cell 'DARTS_V3'; did you mean 'DARTS_V1'|'DARTS_V2'"),
        ("NASNet", "'NASNet' is no cell of the DARTS space"),
        (V2_STRING.split("/")[0], "expected a normal and a reduction cell"),
        (V2_STRING.replace("dil_conv_3x3", "conv"), "node 5 of normal has operation 'conv'"),
        (V2_STRING.replace("dil_conv_3x3~2", "dil_conv_3x3~0"), "node 5 of normal has input 0 twice"),
        (V2_STRING.replace("dil_conv_3x3~2", "dil_conv_3x3~9"), "expected op~input"),
        (V2_STRING.replace("sep_conv_3x3~0", "sep_conv_3x3~4", 1), "node 2 of normal has input 4; expected 0 to 1"),
        ((0,) * 28, "node 2 of normal must have two inputs"),
        ([1] * 28, "node 3 of normal must have two inputs"),
        ([9] + [0] * 27, "operation 9; expected 0 to 7"),
        ((1, 2, 3), "expected 28 operation numbers"),
        ("[1, 2", "cannot be read as numbers"),
        (12, "expected 28 operation numbers"),
        ({"inputs_node_normal_3": "0_1"}, "edge_normal_0 is missing, which input 0 of node 2 needs"),
        (((0, 0),), "expected 28 operation numbers"),
        ([[(0, 0)] * 8] * 2, "has input 0 twice"),
        ([[(0, 7)] * 8] * 2, "operation 7; expected 0 to 6"),
    ],
)
def test_what_is_wrong_with_a_spelling_is_named(spelling, problem):
    with pytest.raises(UserError, match=problem) as error:
        C.parse(spelling)
    assert "\n" not in str(error.value)


def test_the_real_cells_are_all_read_and_differ(shared):
    """214 random cells with real accuracies and 1,218 with predicted ones: as their README says, no cell is in both."""
    folder = shared / "data/darts"
    if not folder.exists():
        pytest.skip("needs shared/data/darts")
    cells = {}
    for name in ("darts_real214.csv.gz", "darts_nb301_xgb.csv.gz"):
        with gzip.open(folder / name, "rt") as file:
            cells[name] = {C.parse(f"{row['normal']},{row['reduce']}") for row in csv.DictReader(file)}
    assert [len(group) for group in cells.values()] == [214, 1218]
    assert not set.intersection(*cells.values())


def test_genotypes_of_cells_have_four_nodes():
    built = C.to_genotype(C.parse("PDARTS"))
    assert built.normal_concat == (2, 3, 4, 5)
    assert sorted(built.normal) == sorted(genotype.published()["PDARTS"].normal)
