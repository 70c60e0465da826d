"""The network that is trained from scratch for a genotype: DARTS' evaluation network, for CIFAR and for ImageNet.

Source: quark0/darts, cnn/model.py and operations.py (DOC). L cells, reduction cells at ⌊L/3⌋ and ⌊2L/3⌋, where the
channels double; a cell reads the outputs of the two before it, each through ReLU-1×1-BN, and joins its nodes.
Affine batch normalisation, none after poolings. For ImageNet three stem convolutions of stride 2.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.base import NetworkSize
from benchmarks.darts.depthwise import DepthwiseConv
from benchmarks.darts.genotype import Genotype, Input


def norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=affine)


def conv(
    c_in: int, c_out: int, kernel: int | tuple[int, int], stride: int | tuple[int, int] = 1, padding: Any = 0
) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)


def relu_conv_norm(c_in: int, c_out: int, affine: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), conv(c_in, c_out, 1), norm(c_out, affine))


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels of even rows and columns, and those of odd ones, (B, C, H/2, W/2) each; zeros where H is odd.

    Taken out before a 1×1 convolution instead of by its stride: oneDNN's kernel of stride 2 writes outside its memory
    where there are fewer than 8 channels, channels last (torch 2.13, AVX2).
    """
    if x.shape[-1] % 2 or x.shape[-2] % 2:
        x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
    even, odd = (x[:, :, start::2, start::2].contiguous(memory_format=torch.channels_last) for start in (0, 1))
    return even, odd


class FactorizedReduce(nn.Module):
    """Halves the resolution by two 1×1 convolutions of stride 2, the second one pixel further right and down."""

    def __init__(self, c_in: int, c_out: int, affine: bool = True):
        super().__init__()
        self.even, self.odd = (conv(c_in, half, 1) for half in (c_out // 2, c_out - c_out // 2))
        self.norm = norm(c_out, affine)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = halves(F.relu(x))
        return self.norm(torch.cat([self.even(even), self.odd(odd)], 1))


def separable(c: int, kernel: int, stride: int, affine: bool, layer: type[nn.Conv2d]) -> nn.Sequential:
    """ReLU, depthwise, 1×1, BN, twice; the first depthwise convolution has the stride."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        depthwise = layer(c, c, kernel, step, padding=kernel // 2, groups=c, bias=False)
        layers += [nn.ReLU(), depthwise, conv(c, c, 1), norm(c, affine)]
    return nn.Sequential(*layers)


def dilated(c: int, kernel: int, stride: int, affine: bool, layer: type[nn.Conv2d]) -> nn.Sequential:
    """ReLU, depthwise with dilation 2, 1×1, BN."""
    depthwise = layer(c, c, kernel, stride, padding=kernel - 1, dilation=2, groups=c, bias=False)
    return nn.Sequential(nn.ReLU(), depthwise, conv(c, c, 1), norm(c, affine))


def stretched(c: int, stride: int) -> nn.Sequential:
    """AmoebaNet's convolutions of 1×7 and 7×1."""
    wide = conv(c, c, (1, 7), stride=(1, stride), padding=(0, 3))
    high = conv(c, c, (7, 1), stride=(stride, 1), padding=(3, 0))
    return nn.Sequential(nn.ReLU(), wide, high, norm(c))


def operation(name: str, c: int, stride: int, affine: bool = True, layer: type[nn.Conv2d] = DepthwiseConv) -> nn.Module:
    """An operation from c to c channels; poolings without normalisation. `layer` makes depthwise convolutions."""
    kind, _, kernel = name.rpartition("_")
    if kind == "sep_conv":
        return separable(c, int(kernel[0]), stride, affine, layer)
    if kind == "dil_conv":
        return dilated(c, int(kernel[0]), stride, affine, layer)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c, affine)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return stretched(c, stride)


def drop(x: Tensor, probability: float) -> Tensor:
    """Leave a path out for each image with this probability; what stays is scaled up."""
    kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= probability
    return x * kept / (1 - probability)


def reductions(cells: int) -> tuple[int, int]:
    """Which of so many cells are reduction cells, counted from 0."""
    return cells // 3, 2 * cells // 3


class Cell(nn.Module):
    """A normal or reduction cell; `before` and `previous` are the channels of the two cells before it."""

    def __init__(
        self,
        inputs: tuple[Input, ...],
        concat: tuple[int, ...],
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        after_reduction: bool,
        layer: type[nn.Conv2d],
    ):
        super().__init__()
        self.sources, self.concat = [source for _, source in inputs], concat
        reduce = FactorizedReduce(before, channels) if after_reduction else relu_conv_norm(before, channels)
        self.preprocess = nn.ModuleList([reduce, relu_conv_norm(previous, channels)])
        self.operations = nn.ModuleList(
            operation(name, channels, 2 if reduction and source < 2 else 1, layer=layer) for name, source in inputs
        )

    def forward(self, s0: Tensor, s1: Tensor, drop_path: float) -> Tensor:
        nodes = [module(x) for module, x in zip(self.preprocess, (s0, s1), strict=True)]
        outputs = []
        for module, source in zip(self.operations, self.sources, strict=True):
            y = module(nodes[source])
            if self.training and drop_path > 0 and not isinstance(module, nn.Identity):
                y = drop(y, drop_path)
            outputs.append(y)
            if len(outputs) == 2:
                nodes.append(outputs[0] + outputs[1])
                outputs = []
        return torch.cat([nodes[k] for k in self.concat], 1)


def auxiliary_head(channels: int, classes: int, imagenet: bool) -> nn.Sequential:
    """Logits from maps of about 8×8 (CIFAR) or 14×14 (ImageNet); ImageNet's has no second BN, as in DARTS' code."""
    second = [] if imagenet else [norm(768)]
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=2 if imagenet else 3, padding=0, count_include_pad=False),
        conv(channels, 128, 1),
        norm(128),
        nn.ReLU(),
        conv(128, 768, 2),
        *second,
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


class Network(nn.Module):
    """Images to logits and, in training with an auxiliary head, that head's logits (`benchmarks.base.DerivedNetwork`).

    `size.cells` is L, the number of all cells; `layer` makes depthwise convolutions.
    """

    def __init__(
        self,
        genotype: Genotype,
        size: NetworkSize,
        imagenet: bool = False,
        auxiliary: bool = False,
        layer: type[nn.Conv2d] = DepthwiseConv,
    ):
        super().__init__()
        self.drop_path = 0.0
        c = size.channels
        if imagenet:
            self.stem = nn.Sequential(
                conv(size.in_channels, c // 2, 3, stride=2, padding=1),
                norm(c // 2),
                nn.ReLU(),
                conv(c // 2, c, 3, stride=2, padding=1),
                norm(c),
            )
            self.second_stem = nn.Sequential(nn.ReLU(), conv(c, c, 3, stride=2, padding=1), norm(c))
            before = previous = c
        else:
            self.stem = nn.Sequential(conv(size.in_channels, 3 * c, 3, padding=1), norm(3 * c))
            self.second_stem = nn.Sequential()
            before = previous = 3 * c
        self.cells, after_reduction = nn.ModuleList(), imagenet
        _, self.auxiliary_after = reductions(size.cells)
        for number in range(size.cells):
            reduction = number in reductions(size.cells)
            c *= 2 if reduction else 1
            inputs, concat = genotype[2:] if reduction else genotype[:2]
            self.cells.append(Cell(inputs, concat, before, previous, c, reduction, after_reduction, layer))
            before, previous, after_reduction = previous, len(concat) * c, reduction
            if number == self.auxiliary_after:
                auxiliary_channels = previous
        self.auxiliary = auxiliary_head(auxiliary_channels, size.num_classes, imagenet) if auxiliary else None
        self.classifier = nn.Linear(previous, size.num_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        s0 = self.stem(x)
        s1 = self.second_stem(s0)
        auxiliary = None
        for number, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, self.drop_path)
            if number == self.auxiliary_after and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(s1)
        return self.classifier(s1.mean((2, 3))), auxiliary


class Classifier(nn.Module):
    """A network's logits alone."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[0]


def multiply_adds(network: nn.Module, x: Tensor) -> int:
    """Of the convolutions and the classifier for one image; batch norm, ReLU and pooling are not counted.

    `x` (1, C, H, W) decides the resolution. An auxiliary head, which only training uses, is not counted.
    """
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, (nn.Conv2d, nn.Linear))
        total += module.weight[0].numel() * output.numel()

    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was_training = network.training
    with torch.no_grad():
        network.eval()(x)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
