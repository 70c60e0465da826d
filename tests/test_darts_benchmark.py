"""The DARTS space as a benchmark: data, recipes, published rows, and every searcher that fits."""

import csv
import gzip

import numpy as np
import pytest
import torch

from benchmarks import registry
from benchmarks.base import NetworkSize
from benchmarks.darts import benchmark, space
from benchmarks.errors import UserError
from benchmarks.images import Images
from harness import diagnostics
from harness.options import require_low_fidelity
from harness.specs import parse_specs
from searchers import catalogue
from searchers.base import SEARCHERS, Budget, SearchTask, configure

TINY = NetworkSize(channels=4, cells=3, in_channels=3, num_classes=10)
QUICK = {  # settings that make a first epoch short
    "enas": {"updates": 1, "cells_an_update": 2, "candidates": 2, "fitness_batch": 8},
    "rsws": {"candidates": 2, "fitness_batch": 8},
    "gicso": {"population": 6, "warmup": 0.0, "exploration": 1.0, "fitness_batch": 8, "fitness_images": 8},
    "cso": {"population": 6, "fitness_batch": 8, "fitness_images": 8},
    "cmaes": {"population": 6, "fitness_batch": 8, "fitness_images": 8},
}


def task(**changes):
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (16, 3, 8, 8), dtype=np.uint8))
    images = Images(pixels, torch.from_numpy(rng.integers(10, size=16)), (120.0,) * 3, (60.0,) * 3, None)
    return SearchTask(0, "cifar10", space, TINY, Budget(1), 8, images, images, **changes)


@pytest.mark.parametrize("name", [n for n in SEARCHERS if catalogue.find(n).kind == "one-shot"])
def test_every_one_shot_searcher_ends_an_epoch_with_a_cell_of_the_space(name):
    searcher = catalogue.find(name)
    step = searcher(task(), configure(searcher, QUICK.get(name, {}))).step()
    assert space.parse(tuple(step.cell)) == tuple(step.cell)
    assert step.alphas is None or step.alphas.shape == (28, 8)


def test_a_training_free_search_draws_cells_where_they_cannot_be_enumerated():
    searcher = catalogue.find("training-free")
    search = searcher(task(), configure(searcher, {"score": "params+naswot", "cells": 3}))
    steps = [search.step() for _ in range(3)]
    assert space.parse(steps[-1].cell) == steps[-1].cell
    assert search.step() is None


def test_random_search_without_a_proxy_draws_one_uniform_cell():
    searcher = catalogue.find("random")
    first, second = (searcher(task(), configure(searcher, {})) for _ in range(2))
    cell = first.step().cell
    assert space.parse(cell) == cell
    assert first.step() is None
    assert second.step().cell == cell  # of the seed alone


def test_searchers_that_need_a_proxy_say_so_in_a_line():
    bench = benchmark.open_darts(())
    with pytest.raises(UserError, match=r"darts has no low-fidelity proxy on cifar10, which evolution, local would"):
        require_low_fidelity(bench, "cifar10", parse_specs("random,evolution,local,gicso", []))
    require_low_fidelity(bench, "cifar10", parse_specs("random,gicso", []))


def test_the_search_halves_are_the_first_and_the_last_25000_by_order():
    train, valid = benchmark.halves("cifar10")
    assert (train[0], train[-1], valid[0], valid[-1]) == (0, 24_999, 25_000, 49_999)


def test_search_images_are_the_halves(cifar10_root):
    train, valid = benchmark.open_darts((cifar10_root,)).search_data("cifar10", benchmark.PRESETS["smoke"])
    from benchmarks.images import search_images

    whole, _ = search_images("cifar10", cifar10_root, (range(320), range(25_000, 25_320)))
    assert torch.equal(train.pixels, whole.reduced().pixels)
    assert len(valid) == 320
    assert train.pixels.shape == (320, 3, 16, 16)


def test_the_paper_recipe_is_darts_own():
    paper = benchmark.DARTSEvaluation(()).recipe("cifar100", "paper")
    assert (paper.channels, paper.cells, paper.epochs, paper.batch_size) == (36, 20, 600, 96)
    assert (paper.cutout, paper.auxiliary, paper.drop_path, paper.weight_decay) == (16, 0.4, 0.2, 3e-4)
    imagenet = benchmark.DARTSEvaluation(()).recipe("imagenet", "paper")
    assert (imagenet.channels, imagenet.cells, imagenet.epochs, imagenet.resolution) == (48, 14, 250, 224)
    assert (imagenet.learning_rate, imagenet.decay, imagenet.label_smoothing) == (0.1, "exponential", 0.1)


@pytest.mark.parametrize(
    ("target", "name", "problem"),
    [
        ("cifar-10", "small", "evaluated on no data set 'cifar-10'; did you mean 'cifar10'"),
        ("cifar10", "papr", "--preset 'papr' of an evaluation; did you mean 'paper'"),
        ("imagenet", "small", "imagenet has the recipe of --preset paper alone"),
    ],
)
def test_unknown_targets_and_recipes_are_named(target, name, problem):
    with pytest.raises(UserError, match=problem):
        benchmark.DARTSEvaluation(()).recipe(target, name)


def test_derived_networks_are_of_the_seed_and_of_the_recipe():
    evaluation = benchmark.DARTSEvaluation(())
    cell, recipe = space.parse("DARTS_V2"), evaluation.recipe("cifar10", "smoke")
    one, same, other = (evaluation.network(cell, "cifar10", recipe, seed).classifier.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    paper = evaluation.recipe("cifar10", "paper")
    assert evaluation.multiply_adds(cell, "cifar10", paper) == 528_359_040


def test_published_errors_become_accuracies():
    rows = {row["method"]: row for row in registry.find("darts").published()}
    assert rows["DARTS 2nd order"]["cifar10_test_mean"] == "97.24"
    assert rows["DARTS 2nd order"]["cifar10_test_std"] == "0.09"
    assert rows["DARTS 2nd order"]["search_seconds"] == "345600"
    assert rows["G-ICSO-NAS"]["cifar10_test_mean"] == "97.46"
    assert rows["G-ICSO-NAS"]["cifar100_test_mean"] == "83.10"
    assert rows["G-ICSO-NAS"]["imagenet_test_mean"] == "75.02"
    assert rows["DARTS 2nd order"]["imagenet_top5_mean"] == "91.3"
    assert rows["AmoebaNet-C"]["cifar10_test_mean"] == ""
    assert {"RelativeNAS (paired slow-fast learners)", "EG-NAS", "CMANAS-C10A / C100A"} <= set(rows)


def test_the_best_of_eight_runs_elsewhere(shared):
    for name in ("cifar10", "cifar100"):
        path = shared / f"data/darts/yang_runs_{name}.csv"
        if not path.is_file():
            pytest.skip(f"no runs of Yang et al.: {path} does not exist")
        with path.open() as file:
            best = max(float(row["DARTS"]) for row in csv.DictReader(file))
        assert f"{best:.2f} % on {name.upper().replace('R', 'R-')} (error {100 - best:.2f}" in benchmark.BEST_OF_EIGHT


def real_accuracies(folder):
    """A table of three cells in the format of the real one."""
    rows = ["normal,reduce,test_acc_mean_last50,params,mult_adds"]
    for seed, accuracy in enumerate((96.5, 97.0, 97.25)):
        normal, reduce = space.to_string(space.sample(np.random.default_rng(seed))).split("/")
        spelling = [
            half.strip("|").replace("|+|", "§").replace("|", " ").replace("§", "|") for half in (normal, reduce)
        ]
        rows.append(",".join([*spelling, str(accuracy), str(3_000_000 - seed), str(5 + seed)]))
    with gzip.open(folder / benchmark.REAL, "wt") as file:
        file.write("\n".join(rows) + "\n")


class Losses:
    config = None

    def one_shot_losses(self, candidates, images):
        return np.array([2.0, 1.5, 1.0])[: len(candidates)]


def test_the_rank_check_keeps_correlations_and_losses_but_no_cell_and_no_accuracy(tmp_path):
    real_accuracies(tmp_path)
    known = diagnostics.one_shot(Losses(), benchmark.DARTSBenchmark((tmp_path,)), "cifar10")
    assert known.spearman == pytest.approx(1)
    assert known.others == {"parameters": pytest.approx(-1), "multiply-adds": pytest.approx(1)}
    assert known.ceiling == pytest.approx(0.643**0.5, abs=0.005)
    assert known.losses == [2.0, 1.5, 1.0]
    assert (known.cells, known.accuracies) == ([], [])


def test_without_its_file_there_is_no_rank_check(tmp_path):
    assert diagnostics.one_shot(Losses(), benchmark.DARTSBenchmark((tmp_path,)), "cifar10") is None


def test_a_damaged_file_of_the_rank_check_is_one_line(tmp_path):
    (tmp_path / benchmark.REAL).write_bytes(b"no gzip")
    with pytest.raises(UserError, match="damaged table of real accuracies"):
        benchmark.rank_check([tmp_path])
