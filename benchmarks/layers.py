"""What the networks of all search spaces compute with: batch statistics, pooling, the loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def batch_norm(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """Normalise by batch statistics; `scale` (channels of x) multiplies the result."""
    return F.batch_norm(x, None, None, weight=scale, training=True)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy, in float32 where the logits are bf16."""
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), y)


def mean_losses(logits: Sequence[Tensor], y: Tensor) -> list[float]:
    """Mean cross-entropy of several networks' logits on one batch."""
    return torch.stack([cross_entropy(of_one, y) for of_one in logits]).tolist()


def mean_accuracies(logits: Sequence[Tensor], y: Tensor) -> list[float]:
    """Accuracy (percent) of several networks' logits on one batch; NaN where they are not finite."""
    right = [(of_one.argmax(1) == y).float().mean() for of_one in logits]  # of NaN too there is an arg-max
    finite = torch.stack(list(logits)).isfinite().flatten(1).all(1)
    return (100 * torch.stack(right)).masked_fill(~finite, torch.nan).tolist()


def stacked_weight(out: int, c_in: int, kernel: int) -> nn.Parameter:
    """Weights of convolutions side by side, (out, c_in, k, k), initialised as PyTorch does each."""
    weight = torch.empty(out, c_in, kernel, kernel)
    nn.init.kaiming_uniform_(weight, a=5**0.5)
    return nn.Parameter(weight)


@lru_cache(maxsize=64)
def _pooling(channels: int, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A depthwise kernel of ones (C, 1, 3, 3), and one over the number of pixels that it covers (1, C, H, W)."""
    ones = torch.ones(channels, 1, 3, 3, dtype=dtype)
    covered = F.conv2d(torch.ones(1, 1, height, width, dtype=torch.float64), ones[:1].double(), padding=1)
    share = (1 / covered).to(dtype).expand(1, channels, height, width)
    # Spelled out for every channel: broadcasting a map over interleaved channels takes ten times as long.
    return ones, share.contiguous(memory_format=torch.channels_last)


def average_pool(x: Tensor) -> Tensor:
    """The operation avg_pool_3x3, (B, C, H, W) to the same shape: on a CPU a depthwise convolution, 5 times as fast."""
    if x.device.type != "cpu":
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    ones, share = _pooling(*x.shape[1:], dtype)
    return F.conv2d(x, ones, padding=1, groups=x.shape[1]) * share
