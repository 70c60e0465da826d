"""Local search: it climbs, and pays no cell twice."""

from support.searching import build, searching, separable_task

from benchmarks.nb201 import cell as C
from benchmarks.nb201 import space


def test_local_search_climbs_to_the_optimum_and_pays_no_cell_twice():
    task = separable_task(budget=130.0)
    searcher = searching("local", task)
    queried = []
    while (step := searcher.step()) is not None:
        queried.append(step.metrics["queried"])
    assert step is None
    assert len(queried) == len(set(queried)) == 130
    # at most six moves of at most 24 new neighbours each
    assert C.index((3,) * 6) in queried[: 1 + 7 * 24]
    first = C.from_index(queried[0])
    neighbours = {C.index(cell) for cell in space.neighbours(first)}
    assert set(queried[1:25]) == neighbours
    centre = max(neighbours, key=lambda k: task.low_fidelity(C.from_index(k))[0])
    assert all(k in {C.index(cell) for cell in space.neighbours(C.from_index(centre))} for k in queried[25:35])


def test_local_search_ends_when_every_cell_is_known():
    _, searcher = build("local")
    searcher.accuracies = {tuple(c): 1.0 for c in C.all_cells().tolist()}
    assert searcher.step() is None
