"""The weights of a plain DARTS supernet in the places where the fast one has them, and the other way round."""

from __future__ import annotations

from torch import nn

from benchmarks.darts.genotype import DIL3, DIL5, OPERATIONS, SKIP
from benchmarks.darts.plain import PlainSupernet
from benchmarks.darts.supernet import CONVOLUTIONS, LEAVING, SEPARABLE, Supernet


def pairs(plain: PlainSupernet, fast: Supernet):
    """(plain parameter, fast parameter, its rows) for every weight of the plain network."""
    whole = slice(None)
    yield plain.stem[0].weight, fast.stem.weight, whole
    yield plain.stem[1].weight, fast.stem_norm.weight, whole
    yield plain.stem[1].bias, fast.stem_norm.bias, whole
    yield plain.classifier.weight, fast.classifier.weight, whole
    yield plain.classifier.bias, fast.classifier.bias, whole
    for one, other in zip(plain.cells, fast.cells, strict=True):
        first, second = one.preprocess
        for source, target in zip(convolutions(first), other.before, strict=True):
            yield source.weight, target, whole
        yield convolutions(second)[0].weight, other.previous, whole
        c = other.channels
        for node, edges in enumerate(LEAVING):
            for position, edge in enumerate(edges):
                own = slice(position * c, (position + 1) * c)
                for op in CONVOLUTIONS:
                    layers = convolutions(one.edges[edge][op - 1])
                    places = [(other.first, other.first_1x1, CONVOLUTIONS)]
                    if op not in (DIL3, DIL5):
                        places.append((other.second, other.second_1x1, SEPARABLE))
                    for number, (spatial, pointwise, ops) in enumerate(places):
                        start = (ops.index(op) * len(edges) + position) * c
                        yield layers[2 * number].weight, spatial[OPERATIONS[op]][node], own
                        yield layers[2 * number + 1].weight, pointwise[node], slice(start, start + c)
                if one.stride(node) == 2:
                    rows = slice(position * (c // 2), (position + 1) * (c // 2))
                    for layer, target in zip(convolutions(one.edges[edge][SKIP - 1]), other.skips[node], strict=True):
                        yield layer.weight, target, rows


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
