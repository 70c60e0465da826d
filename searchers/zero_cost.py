"""Scores of a network that is not trained: its size, what its ReLUs separate, its gradients at the initial weights.

A score is a function of the network, which it may change, and of batches of images and labels; the higher, the better.
All are DOC: each function names its paper, and where the authors' code or NASLib's departs from it, which one is
followed. ReLUs are found as they are computed, not as modules, so that any network will do. What is not finite (a
network whose output depends on no image, two images that no ReLU separates) is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.layers import count_parameters, cross_entropy

Batch: TypeAlias = tuple[Tensor, Tensor]  # images (B, in_channels, H, W), normalised, and labels (B,)
RELUS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


class Watch(TorchFunctionMode):
    """Within it, `seen(function, inputs, result)` is called after each of torch's functions."""

    def __init__(self, seen: Callable[[Any, tuple, Any], None]):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.seen(func, args, result)
        return result


def layers(net: nn.Module) -> list[nn.Module]:
    """The convolutions and linear maps of a network."""
    return [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def gradients(net: nn.Module, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """Weights of the layers that the loss depends on, and the gradient of a batch's cross-entropy; BN in training."""
    x, y = batch
    net.train().zero_grad()
    cross_entropy(net(x), y).backward()
    weights = [layer.weight for layer in layers(net)]
    return [(w.detach(), w.grad.clone()) for w in weights if w.grad is not None]


def params(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Number of trainable numbers."""
    return float(count_parameters(net))


@torch.no_grad()
def flops(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Multiply-adds of one image: convolutions, and linear maps with their bias, as NAS-Bench-201 counts; no BN.

    NASLib adds, for each number: 1 a ReLU, 2 a BN, k² a k×k pooling.
    """
    total = 0

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        weight, bias = layer.weight, layer.bias
        total += output.numel() * (weight[0].numel() + (bias is not None))

    for layer in layers(net):
        layer.register_forward_hook(count)
    net.eval()(batches[0][0][:1])
    return float(total)


@torch.no_grad()
def naswot(net: nn.Module, batches: Sequence[Batch]) -> float:
    """log |det K|, K[i, j] the number of ReLUs that are both on or both off for images i and j.

    Mellor et al., Neural Architecture Search without Training, ICML 2021, eq. (2).
    """
    (x, _), *_ = batches
    kernel = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)

    def compare(function: Any, inputs: tuple, result: Tensor) -> None:
        if function in RELUS:
            on = (result > 0).flatten(1).float()
            kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)

    with Watch(compare):
        net.train()(x)
    return float(torch.linalg.slogdet(kernel.cpu()).logabsdet)


def jacov(net: nn.Module, batches: Sequence[Batch]) -> float:
    """−Σ(log(λ + k) + 1/(λ + k)) over the eigenvalues λ of the correlations of the images' gradients; k = 1e-5.

    A gradient is that of the sum of the logits. Mellor et al., first version (arXiv 2006.04647v1); Abdelfattah et al.,
    Zero-Cost Proxies, ICLR 2021 (jacob_cov).
    """
    (x, _), *_ = batches
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.train()(x).sum(), x, allow_unused=True)
    if gradient is None:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.corrcoef(gradient.flatten(1).cpu().double().numpy())
    if not np.isfinite(correlations).all():
        return float("nan")
    shifted = np.linalg.eigvalsh(correlations).clip(min=0) + 1e-5
    return float(-(np.log(shifted) + 1 / shifted).sum())


def grad_norm(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Sum over layers of the norm of the loss's gradient. Abdelfattah et al., Zero-Cost Proxies, ICLR 2021."""
    return float(sum(gradient.norm() for _, gradient in gradients(net, batches[0])))


def snip(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Sum of |w · ∂L/∂w|. Lee et al., SNIP, ICLR 2019; of whole networks Abdelfattah et al., ICLR 2021."""
    return float(sum((w * gradient).abs().sum() for w, gradient in gradients(net, batches[0])))


def synflow(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Sum of |w · ∂R/∂w|, R the sum of the logits of an image of ones, all numbers made positive, without BN.

    Tanaka et al., Pruning neural networks without any data, NeurIPS 2020; of whole networks, and that BN is left out,
    Abdelfattah et al., ICLR 2021. In float64: it reaches 1e47.
    """
    for module in net.double().eval().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda module, inputs, output: inputs[0])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    net.zero_grad()
    net(torch.ones_like(batches[0][0][:1], dtype=torch.float64)).sum().backward()
    weights = [layer.weight for layer in layers(net)]
    return float(sum((w.detach() * w.grad).abs().sum() for w in weights if w.grad is not None))


@torch.no_grad()
def zen(net: nn.Module, batches: Sequence[Batch], gamma: float = 1e-2) -> float:
    """log E‖f(x) − f(x + γε)‖ + Σ over BNs of log of their input's standard deviation; x, ε and all weights N(0, 1).

    f is the map before the global mean: the last that has more than one pixel. Lin et al., Zen-NAS, ICCV 2021,
    algorithm 1. Their code has a sum of absolute differences, and running variances after one step for the deviation.
    """
    maps: list[Tensor] = []
    scales: list[Tensor] = []
    for module in net.train().modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda module, inputs: scales.append(inputs[0].var((0, 2, 3)).mean()))

    def keep(function: Any, inputs: tuple, result: Any) -> None:
        if isinstance(result, Tensor) and result.ndim == 4 and len(result) > 1 and result[0, 0].numel() > 1:
            maps[:] = [result]

    noise = torch.randn(2, *batches[0][0].shape).to(batches[0][0].device)
    outputs = []
    for x in (noise[0], noise[0] + gamma * noise[1]):
        scales.clear()
        with Watch(keep):
            net(x)
        outputs.append(maps[0])
    change = (outputs[0] - outputs[1]).flatten(1).norm(dim=1).mean()
    return float(change.log() + torch.stack(scales).log().sum() / 2)


def zico(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Sum over layers of log Σ_w E|g| / std(g), over the gradients g of a weight on two batches.

    Li et al., ZiCo, ICLR 2023, eq. (13), but with the deviation of g as in their code, not of |g|; a weight whose
    gradients are equal is left out.
    """
    first, second = (gradients(net, batch) for batch in batches[:2])
    total = 0.0
    for (_, a), (_, b) in zip(first, second, strict=True):
        mean, deviation = (a.abs() + b.abs()) / 2, (a - b).abs() / 2
        ratio = (mean / deviation)[deviation > 0].sum()
        if ratio > 0:
            total += float(ratio.log())
    return total


class Score(NamedTuple):
    compute: Callable[[nn.Module, Sequence[Batch]], float]
    batches: int  # how many batches of images pass through the network


SCORES = {
    "params": Score(params, 0),
    "flops": Score(flops, 0),
    "naswot": Score(naswot, 1),
    "synflow": Score(synflow, 0),
    "jacov": Score(jacov, 1),
    "snip": Score(snip, 1),
    "grad_norm": Score(grad_norm, 1),
    "zen": Score(zen, 0),
    "zico": Score(zico, 2),
}
