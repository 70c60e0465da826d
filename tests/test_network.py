"""Single networks, against what is published of them."""

import pytest

from benchmarks.base import NetworkSize
from benchmarks.layers import count_parameters
from benchmarks.nb201 import cell as C
from benchmarks.nb201.network import network


def of(classes):
    return NetworkSize(channels=16, cells=5, in_channels=3, num_classes=classes)


@pytest.mark.case(52)
@pytest.mark.parametrize(("index", "parameters"), [(0, 129_306), (11, 802_426), (284, 101_306)])
def test_parameters_are_the_official_ones(index, parameters):
    cell = C.from_index(index)
    assert count_parameters(network(cell, of(10))) == parameters
    assert count_parameters(network(cell, of(100))) == parameters + 5850
    assert count_parameters(network(cell, of(120))) == parameters + 7150
