"""CSO on a supernet and on the table."""

from support.searching import build


def test_how_many_candidates_an_epoch_scores():
    """cso: 6 particles, then 3 losers a generation, and all 6 with g at the end; zero-order: 2 estimates of 2 pairs."""
    for name, expected in (("cso", [6 + 3 + 7, 3 + 3 + 7]), ("zero-order", [8, 8])):
        task, searcher = build(name)
        counts = []
        for _ in range(2):
            before = task.evaluations
            searcher.step()
            counts.append(task.evaluations - before)
        assert counts == expected, name
