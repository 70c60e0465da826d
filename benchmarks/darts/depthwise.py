"""Depthwise convolution whose gradients are fast on a CPU.

PyTorch's CPU kernels are slow at gradients of dilated windows and of windows wider than three pixels: up to 30 times as
slow as of 3×3 ones. Here the gradient of the input is a convolution with the window turned round, and that of the
weights is PyTorch's, taken in strips of three columns without gaps. The values are the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 3  # columns of a window whose gradient PyTorch has fast


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """x (B, C, H, W), weight (C, 1, k, k) with odd k, padded so that stride 1 keeps height and width."""
    native = x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or weight.shape[-1] * dilation == 3
    return (convolve if native else _Depthwise.apply)(x, weight, stride, dilation)


def convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return convolve(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        for_x = for_weight = None
        if ctx.stride > 1:  # zeros between the pixels: then it is stride 1
            spread = torch.zeros_like(x)
            spread[:, :, :: ctx.stride, :: ctx.stride] = grad
            grad = spread
        if ctx.needs_input_grad[0]:
            for_x = convolve(grad, weight.flip(2, 3), 1, ctx.dilation)
        if ctx.needs_input_grad[1]:
            for_weight = _gradient_of_weight(x, grad, weight, ctx.dilation)
        return for_x, for_weight, None, None


def _gradient_of_weight(x: Tensor, grad: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """For stride 1 and windows of at least `WIDTH`; the same shape as the weight's."""
    size = weight.shape[-1]
    seen, met = _images(x, dilation, size // 2, size // 2), _images(grad, dilation, 0, size - WIDTH)
    settings = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], len(weight), [False, True, False])
    for_weight = torch.empty_like(weight)
    for start in [*range(0, size - WIDTH, WIDTH), size - WIDTH]:
        # The same memory from a later pixel on: where a row then shows the start of the next, `met` is 0.
        strip, part = seen.as_strided(seen.shape, seen.stride(), start * seen.shape[1]), slice(start, start + WIDTH)
        gradients = torch.ops.aten.convolution_backward(met, strip, weight[..., part], *settings)
        for_weight[..., part] = gradients[1]
    return for_weight


def _images(x: Tensor, dilation: int, margin: int, right: int) -> Tensor:
    """x, channels last, with margins of zeros: `margin` above, below and left, `right` on the right.

    Pixels that never meet in a dilated window are images of their own: then the window has no gaps.
    """
    batch, channels, *sides = x.shape
    height, width = (-(-side // dilation) for side in sides)
    shape = torch.Size((dilation, dilation, batch, height + 2 * margin, margin + width + right, channels))
    spare = shape[-2] * channels  # a strip that starts later ends later
    images = x.new_zeros(shape.numel() + spare)[: shape.numel()].view(shape)
    for i in range(dilation):
        for j in range(dilation):
            pixels = x[:, :, i::dilation, j::dilation].permute(0, 2, 3, 1)
            images[i, j, :, margin : margin + pixels.shape[1], margin : margin + pixels.shape[2]] = pixels
    return images.flatten(0, 2).permute(0, 3, 1, 2)


class DepthwiseConv(nn.Conv2d):
    """`depthwise` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])
