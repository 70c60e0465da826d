"""The plain supernet with the weights of the fast one, so that the two can be compared."""

import torch

from benchmarks.nb201.cell import EDGES
from benchmarks.nb201.network import Skeleton
from benchmarks.nb201.supernet import Supernet, edge_slices


@torch.no_grad()
def copy_weights(source: Supernet, target: Skeleton) -> None:
    """Give a plain supernet the weights of a fast one of the same space."""
    state = source.state_dict()
    own = target.state_dict()
    for name, tensor in own.items():
        if name in state:
            tensor.copy_(state[name])
    for stage_s, stage_t in zip(source.stages, target.stages, strict=True):
        for cell_s, cell_t in zip(stage_s, stage_t, strict=True):
            for edge in range(len(EDGES)):
                node, rows = edge_slices(edge, cell_s.channels)
                cell_t.conv1[edge][1].weight.copy_(cell_s.conv1[node][rows])
                cell_t.conv3[edge][1].weight.copy_(cell_s.conv3[node][rows])
