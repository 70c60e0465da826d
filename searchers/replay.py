"""CUDA graphs: a computation's kernels recorded once and launched together.

At NAS-Bench-201's sizes a GPU is done with a kernel sooner than Python launches the next: eager, a step of DARTS at
paper scale takes several times as long as its kernels do.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Recorded(NamedTuple):
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]  # where the graph reads
    outputs: tuple[Tensor, ...]  # and writes


class Replay:
    """Calls one computation: on a GPU it is recorded with the first inputs of their shapes, and replayed from then on.

    The computation takes and gives tensors. It may neither read a value back (`.item()`, a branch on data) nor draw
    random numbers, and to make it twice must be the same as once. What it changes besides must stay where it is in
    memory: gradients of parameters are zeroed in place, never set to None. While it is recorded, no other autograd
    graph of those parameters may be alive: PyTorch ends the recording with an error. On a CPU it is just called.
    """

    def __init__(self) -> None:
        self.recorded: dict[tuple[torch.Size, ...], Recorded] = {}

    def __call__(self, compute: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
        if not inputs[0].is_cuda:
            return compute(*inputs)
        shapes = tuple(value.shape for value in inputs)
        with torch.cuda.device(inputs[0].device):
            if shapes not in self.recorded:
                self.recorded[shapes] = record(compute, inputs)
            graph, places, outputs = self.recorded[shapes]
            for place, value in zip(places, inputs, strict=True):
                place.copy_(value.detach())
            graph.replay()
        return tuple(output.clone() for output in outputs)


def record(compute: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> Recorded:
    """A graph of the computation, which is made once before: libraries set themselves up at their first call."""
    places = [value.detach().clone() for value in inputs]
    gc.collect()  # an earlier search's graphs: they hold memory, and must not be freed in the middle of a recording
    aside = torch.cuda.Stream()  # nothing is recorded on the default stream
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        compute(*places)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=aside):
        outputs = compute(*places)
    return Recorded(graph, places, outputs)
