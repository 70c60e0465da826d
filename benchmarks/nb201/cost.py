"""Parameters and multiply-adds of every cell's stand-alone network, from its operations alone.

The network is `network.py`'s: stem, three stages of N cells at C, 2C and 4C channels, a residual block that halves the
resolution (rounded up) before the second and the third, batch norm, classifier.
"""

from __future__ import annotations

import numpy as np

from benchmarks.base import NetworkSize
from benchmarks.nb201.cell import CONV1, CONV3, all_cells


def parameters(size: NetworkSize) -> np.ndarray:
    """Trainable numbers of each cell's network, int64 (15625,)."""
    c, n = size.channels, size.cells
    fixed = 9 * size.in_channels * c + 2 * c
    fixed += sum(9 * w * 2 * w + 9 * 4 * w * w + 2 * w * w + 8 * w for w in (c, 2 * c))  # the residual blocks
    fixed += 8 * c + (4 * c + 1) * size.num_classes
    widths = (c, 2 * c, 4 * c)
    conv1, conv3 = (n * sum(k * w * w + 2 * w for w in widths) for k in (1, 9))
    ops = all_cells()
    return fixed + conv1 * (ops == CONV1).sum(1) + conv3 * (ops == CONV3).sum(1)


def multiply_adds(size: NetworkSize, resolution: int) -> np.ndarray:
    """Of one image, as NAS-Bench-201 counts: convolutions and classifier with its bias, no BN; int64 (15625,)."""
    c, n = size.channels, size.cells
    sizes = (resolution, -(-resolution // 2), -(-resolution // 4))
    pixels = [size * size for size in sizes]
    fixed = 9 * size.in_channels * c * pixels[0] + (4 * c + 1) * size.num_classes
    fixed += sum((18 + 36 + 2) * w * w * after for w, after in zip((c, 2 * c), pixels[1:], strict=True))
    one = n * sum(w * w * area for w, area in zip((c, 2 * c, 4 * c), pixels, strict=True))
    ops = all_cells()
    return fixed + one * (ops == CONV1).sum(1) + 9 * one * (ops == CONV3).sum(1)
