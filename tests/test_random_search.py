"""Random search: the best of what it has seen."""

from support.searching import build

from benchmarks.nb201 import cell as C


def test_random_search_answers_the_best_ever_seen():
    _task, searcher = build("random")
    seen = []
    while (step := searcher.step()) is not None:
        seen.append((step.metrics["accuracy"], step.metrics["queried"]))
        assert C.index(step.cell) == max(seen, key=lambda s: s[0])[1]
