"""Derived networks of the DARTS space, to the digit."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.base import NetworkSize
from benchmarks.darts import space
from benchmarks.darts.depthwise import DepthwiseConv
from benchmarks.darts.genotype import published
from benchmarks.darts.network import FactorizedReduce, Network, drop, multiply_adds

CIFAR, IMAGENET = NetworkSize(36, 20, 3, 10), NetworkSize(48, 14, 3, 1000)
# Counted with quark0/darts' own classes: CIFAR parameters, with auxiliary head, multiply-adds; parameters for 100
# classes; ImageNet parameters, with auxiliary head, multiply-adds.
COUNTS = {
    "DARTS_V1": (3_169_414, 3_645_840, 500_987_520, 3_221_344, 4_510_432, 5_771_208, 505_864_704),
    "DARTS_V2": (3_349_342, 3_825_768, 528_359_040, 3_401_272, 4_718_752, 5_979_528, 529_911_552),
    "PC_DARTS_cifar": (3_634_678, 4_111_104, 556_670_592, 3_686_608, 5_270_560, 6_531_336, 571_137_408),
    "PC_DARTS_image": (3_721_510, 4_197_936, 570_466_944, 3_773_440, 5_342_464, 6_603_240, 581_627_328),
    "PDARTS": (3_433_798, 3_910_224, 532_174_464, 3_485_728, 4_944_352, 6_205_128, 542_819_328),
    "DrNAS_cifar10": (4_099_294, 4_575_720, 635_135_616, None, 5_738_464, None, 633_832_320),
    "NASNet": (3_830_950, 4_288_944, 603_452_448, 3_895_840, 5_564_320, 6_800_520, 604_031_616),
    "AmoebaNet": (3_145_078, 3_603_072, 488_931_552, 3_184_048, 4_627_360, 5_863_560, 526_746_624),
}


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_of_published_cells(name):
    genotype, (cifar, cifar_aux, macs, hundred, imagenet, imagenet_aux, imagenet_macs) = published()[name], COUNTS[name]
    with torch.device("meta"):
        small, large = Network(genotype, CIFAR, auxiliary=True), Network(genotype, IMAGENET, True, auxiliary=True)
        assert parameters(small) == cifar_aux
        assert parameters(small) - parameters(small.auxiliary) == cifar
        assert multiply_adds(small, torch.zeros(1, 3, 32, 32)) == macs
        if hundred:  # a classifier of 100 classes has 90 more rows of weights and offsets
            assert cifar + 90 * (small.classifier.in_features + 1) == hundred
        assert parameters(large) - parameters(large.auxiliary) == imagenet
        if imagenet_aux:
            assert parameters(large) == imagenet_aux
        assert multiply_adds(large, torch.zeros(1, 3, 224, 224)) == imagenet_macs


def test_the_auxiliary_head_answers_in_training_alone():
    network = Network(published()["DARTS_V2"], NetworkSize(4, 6, 3, 10), auxiliary=True)
    x = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(x)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(x)[1] is None


def test_paths_are_dropped_for_each_image_and_scaled():
    torch.manual_seed(0)
    dropped = drop(torch.ones(4000, 2, 1, 1), 0.25)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert (dropped[:, 0] == dropped[:, 1]).all()  # an image's path as a whole
    assert float(dropped.mean()) == pytest.approx(1, abs=0.05)


def test_drop_path_is_of_training_alone_and_leaves_skips_whole():
    skips = space.derive(np.tile(np.eye(8)[3], (28, 1)))
    network = space.network(skips, NetworkSize(4, 1, 3, 10)).network  # one cell, the reduction: its skips have stride 2
    assert network.cells[0].preprocess[0][1].in_channels == 12
    normal = Network(published()["DARTS_V2"], NetworkSize(4, 3, 3, 10))
    x = torch.randn(8, 3, 16, 16)
    normal.eval()
    plain = normal(x)[0]
    normal.drop_path = 0.9
    assert torch.equal(normal(x)[0], plain)
    normal.train()
    assert not torch.allclose(normal(x)[0], normal(x)[0])
    identities = [m for m in normal.cells[0].operations if isinstance(m, nn.Identity)]
    assert len(identities) == 2


def test_factorized_reduce_by_hand():
    """The first half of the channels sees pixels (0, 0), (0, 2), …, the second (1, 1), (1, 3), …."""
    layer = FactorizedReduce(1, 2)
    for half in (layer.even, layer.odd):
        nn.init.ones_(half.weight)
    layer.norm = nn.Identity()
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert layer(x)[0].tolist() == [[[0, 2], [8, 10]], [[5, 7], [13, 15]]]
    assert layer(torch.ones(1, 1, 3, 3))[0].tolist() == [[[1, 1], [1, 1]], [[1, 0], [0, 0]]]


def test_the_fast_layers_compute_what_pytorchs_do(monkeypatch):
    torch.manual_seed(0)
    network = Network(published()["PC_DARTS_cifar"], NetworkSize(8, 3, 3, 10)).double()
    x = torch.randn(4, 3, 16, 16, dtype=torch.double)
    ours = network(x)[0]
    ours.square().sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    monkeypatch.setattr(DepthwiseConv, "forward", nn.Conv2d.forward)
    theirs = network(x)[0]
    torch.testing.assert_close(ours, theirs)
    theirs.square().sum().backward()
    for one, parameter in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad)
