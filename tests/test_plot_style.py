"""What all plots share."""

from __future__ import annotations

import numpy as np

from harness.report import plot_style


def test_steps_are_drawn_where_something_changes():
    rows = np.array([[1.0, 1, 2, 2, 2, 2, 1], [5, 5, 5, 5, 6, 6, 1]])
    kept = plot_style.changes(rows)
    assert np.flatnonzero(kept).tolist() == [0, 2, 4, 6]
    assert [plot_style.changes(np.ones((2, n))).tolist() for n in (1, 2, 3)] == [
        [True],
        [True] * 2,
        [True, False, True],
    ]
    held = np.searchsorted(np.flatnonzero(kept), np.arange(7), side="right") - 1
    assert (rows[:, kept][:, held] == rows).all()
