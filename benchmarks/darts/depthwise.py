"""Depthwise convolution whose gradients are fast on a CPU.

PyTorch's CPU kernels are slow at gradients of 5×5 and of dilated windows: up to 30 times as slow as of 3×3 ones. Here
the gradient of the input is a convolution with the window turned round, and that of the weights a product for each
position of the window. The values are the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        if ctx.needs_input_grad[0]:
            spread = grad
            if ctx.stride > 1:  # zeros between the pixels: then it is stride 1
                spread = torch.zeros_like(x)
                spread[:, :, :: ctx.stride, :: ctx.stride] = grad
            for_x = convolve(spread, weight.flip(2, 3), 1, ctx.dilation)
        if ctx.needs_input_grad[1]:
            for_weight = _products(x, grad, weight.shape[-1], ctx.stride, ctx.dilation).view_as(weight)
        return for_x, for_weight, None, None


def _products(x: Tensor, grad: Tensor, size: int, stride: int, dilation: int) -> Tensor:
    """For each position of the window what the weight there met, times the gradient; (C, size²)."""
    margin = dilation * (size // 2)
    padded = F.pad(x, (margin,) * 4)
    height, width = (stride * (n - 1) + 1 for n in grad.shape[2:])
    offsets = range(0, size * dilation, dilation)
    windows = ((slice(i, i + height, stride), slice(j, j + width, stride)) for i in offsets for j in offsets)
    return torch.stack([(padded[:, :, rows, columns] * grad).sum((0, 2, 3)) for rows, columns in windows], 1)


class DepthwiseConv(nn.Conv2d):
    """`depthwise` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])
