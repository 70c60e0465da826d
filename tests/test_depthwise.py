"""The depthwise convolution against PyTorch's own, values and gradients."""

import pytest
import torch

from benchmarks.darts.depthwise import DepthwiseConv, convolve, depthwise


@pytest.mark.parametrize("side", [8, 7, 4, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_values_and_gradients_are_pytorchs(size, stride, dilation, side):
    torch.manual_seed(0)
    x = torch.randn(3, 6, side, side, dtype=torch.double).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(6, 1, size, size, dtype=torch.double)
    expected = convolve(x.requires_grad_(), weight.requires_grad_(), stride, dilation)
    grad = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (x, weight), grad)
    y = depthwise(x, weight, stride, dilation)
    torch.testing.assert_close(y, expected)
    for ours, theirs in zip(torch.autograd.grad(y, (x, weight), grad), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_only_gradients_that_are_needed_are_worked_out():
    weight = torch.randn(4, 1, 5, 5, requires_grad=True)
    y = depthwise(torch.randn(2, 4, 6, 6), weight)
    y.sum().backward()
    assert weight.grad is not None


def test_the_layer_has_its_settings():
    torch.manual_seed(1)
    layer = DepthwiseConv(4, 4, 5, 2, padding=4, dilation=2, groups=4, bias=False)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(layer(x), torch.nn.Conv2d.forward(layer, x))
