"""Random search with weight sharing: the best of its candidates."""

import numpy as np
import pytest
import torch
from support.searching import build

from benchmarks.nb201 import space


@pytest.mark.case(79)
def test_rsws_answers_the_best_of_its_candidates_on_all_validation_images():
    """In two batches of 48 and 16 images; the mean over images, not over batches."""
    task, searcher = build("rsws", candidates=4, fitness_batch=48)
    for _ in range(9):
        searcher.step()
    paths = task.stream("paths").bit_generator.state
    last = searcher.step()
    task.stream("paths").bit_generator.state = paths
    for _ in searcher.training.batches(9):
        space.sample(task.stream("paths"))
    candidates = [space.sample(task.stream("paths")) for _ in range(4)]
    images = task.valid
    x = (images.pixels.float() - images.mean[0]) / images.std[0]
    with torch.no_grad():
        right = [
            sum((searcher.training.net(x[s], cell).argmax(1) == images.labels[s]).sum().item() for s in halves)
            for cell in candidates
            for halves in [(slice(0, 48), slice(48, 64))]
        ]
    assert last.cell == candidates[int(np.argmax(right))]
    assert last.metrics["one_shot_accuracy"] == pytest.approx(100 * max(right) / 64)
