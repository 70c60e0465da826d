"""CUDA graphs: a computation's kernels recorded once and launched together.

At NAS-Bench-201's sizes a GPU finishes a kernel sooner than Python launches the next. Without recording, a step of
DARTS at paper scale takes several times as long as its kernels.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Recording(NamedTuple):
    """A recorded computation and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]  # where the graph reads
    outputs: tuple[Tensor, ...]  # where it writes


class Replay:
    """Calls a computation; on a GPU it is recorded at the first call with inputs of some shape, and then replayed.

    The computation takes and returns tensors. It may neither read a value back (`.item()`, a branch on data) nor draw
    random numbers, and running it twice must have the effect of once. Other tensors that it changes must stay at their
    place in memory: gradients of parameters are zeroed in place, never set to None. While it is recorded, no other
    autograd graph of those parameters may be alive: PyTorch ends the recording with an error. On a CPU it is simply
    called.
    """

    def __init__(self) -> None:
        self.recordings: dict[tuple[torch.Size, ...], Recording] = {}

    def __call__(self, compute: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
        if not inputs[0].is_cuda:
            return compute(*inputs)
        shapes = tuple(value.shape for value in inputs)
        with torch.cuda.device(inputs[0].device):
            if shapes not in self.recordings:
                self.recordings[shapes] = record(compute, inputs)
            graph, buffers, outputs = self.recordings[shapes]
            for buffer, value in zip(buffers, inputs, strict=True):
                buffer.copy_(value.detach())
            graph.replay()
        return tuple(output.clone() for output in outputs)


def record(compute: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> Recording:
    """Record a computation, after running it once so that libraries have set themselves up."""
    buffers = [value.detach().clone() for value in inputs]
    gc.collect()  # free graphs of earlier searches now: they hold memory, and must not be freed while recording
    stream = torch.cuda.Stream()  # CUDA cannot record on the default stream
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        compute(*buffers)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        outputs = compute(*buffers)
    return Recording(graph, buffers, outputs)
