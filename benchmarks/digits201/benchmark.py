"""The embedded benchmark digits201: all cells, really trained by this project on cluttered digits.

The task is cluttered MNIST (Mnih et al., Recurrent Models of Visual Attention, 2014) in small: scikit-learn's
load_digits (1,797 handwritten 8×8 digits, UCI) at random places of a larger canvas, a fragment of another digit beside
them. The source images are split first; training images are composed afresh at every step, validation and test
images once. `build.py` trains; `digits.npz` holds, for every class of cells that are the same function
(`functions.py`), seed and column, how many images were classified rightly. Parameters and FLOPs are each cell's own;
seconds are a linear model in the numbers of operations, fitted on timed cells.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.base import Entry, Preset
from benchmarks.digits201.task import (
    CANVAS,
    COLUMNS,
    FULL,
    NAME,
    PROXY,
    SEEDS,
    SIZE,
    TASK,
    UNKNOWN,
    images_of,
)
from benchmarks.errors import UserError
from benchmarks.files import damage
from benchmarks.nb201 import cell as cells
from benchmarks.nb201 import cost, space
from benchmarks.nb201.benchmark import TableBenchmark, describe, details
from benchmarks.nb201.table import Column, Table

if TYPE_CHECKING:
    from benchmarks.images import Images

FILE = Path(__file__).with_name("digits.npz")
SHA256 = "276ca8aab742ae42d4c5a1edd64e62181f595b3f556abfcc4c1cadb34383a462"  # of the counts in FILE


@dataclass(frozen=True)
class Counts:
    """The result of a build.

    `right` counts the images classified rightly, uint16 (classes, seeds, columns); UNKNOWN where not trained yet.
    `class_of` int16 (15625,) is the class of each cell. `about` is JSON: the task, where and with what it was
    trained, and the model of the seconds once all is.
    """

    right: np.ndarray
    class_of: np.ndarray
    about: dict[str, Any]

    @property
    def is_trained(self) -> np.ndarray:
        """For each class, whether all its counts are there; bool (classes,)."""
        return (self.right != UNKNOWN).all((1, 2))

    @property
    def sha256(self) -> str:
        return sha256(self.right.tobytes() + self.class_of.tobytes()).hexdigest()

    def accuracy(self, column: int) -> np.ndarray:
        """Percent, float64 (classes, seeds); NaN where not trained yet."""
        right = self.right[:, :, column].astype(np.float64)
        return np.where(right == UNKNOWN, np.nan, 100 * right / images_of(COLUMNS[column][0]))


def load_counts(path: Path = FILE) -> Counts:
    """A build's file, finished or not. Raises UserError where it is not there, damaged or of another task."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; harness data build digits201 makes it")
    with damage(path, "file of a digits201 build"), np.load(path, allow_pickle=False) as archive:
        counts = Counts(archive["right"], archive["class_of"], json.loads(str(archive["about"])))
        if not isinstance(counts.about, dict):
            raise ValueError("its description is no object")
        shape = (len(np.unique(counts.class_of)), len(SEEDS), len(COLUMNS))
        if counts.right.shape != shape or counts.right.dtype != np.uint16:
            raise ValueError(f"counts {counts.right.dtype} {counts.right.shape}, expected uint16 {shape}")
        most = [images_of(split) for split, _ in COLUMNS]
        if ((counts.right > most) & (counts.right != UNKNOWN)).any():
            raise ValueError(f"counts of right answers above the images that there are, {most}")
    if counts.about.get("task") != json.loads(json.dumps(TASK)):
        raise UserError(f"{path}: counts of another task than this version's; give another file or delete it")
    return counts


def seconds_features() -> np.ndarray:
    """1 and the numbers of skips, 1×1, 3×3 convolutions and poolings that a cell computes; int64 (15625, 5)."""
    rows = []
    for cell in map(tuple, cells.all_cells().tolist()):
        used = cells.edges_in_use(cell)
        computed = [op for op, needed in zip(cell, used, strict=True) if needed]
        rows.append([1, *(computed.count(op) for op in (cells.SKIP, cells.CONV1, cells.CONV3, cells.POOL))])
    return np.array(rows)


def table_of(counts: Counts) -> Table:
    """The counts of a finished build as a benchmark table."""
    columns = {}
    for number, (split, epochs) in enumerate(COLUMNS):
        per_trial = counts.accuracy(number)[counts.class_of]
        trials = np.full(cells.NUM_CELLS, len(SEEDS))
        key = (NAME, split, epochs)
        columns[key] = Column(key, per_trial.mean(1), trials, SEEDS, per_trial)
    features, model = seconds_features(), counts.about["seconds"]
    bias = overstatement(counts.accuracy(COLUMNS.index(("test", FULL))))
    return Table(
        columns=columns,
        params={NAME: cost.parameters(SIZE) / 1e6},
        flops={NAME: cost.multiply_adds(SIZE, CANVAS) / 1e6},
        train_seconds={NAME: features @ np.array(model["train"]["coefficients"])},
        valid_seconds={NAME: features @ np.array(model["valid"]["coefficients"])},
        source=f"the embedded table, trained by this project ({counts.about['machine']['cpu']}); its best cell is the "
        f"best of {len(counts.right):,} noisy means, so that optimum and regret are about {bias:.1f} points too high",
    )


def overstatement(accuracy: np.ndarray) -> float:
    """Points by which the best mean of `accuracy` (classes, seeds) is too high: the best of many noisy means is lucky.

    The luck of means over all but one seed is measured (`left_out_bias`); how much less that of means over all seeds is
    comes from a simulation, in which the means are the truth and seeds scatter as those of their tenth of the classes.
    """
    classes, seeds = accuracy.shape
    truth, scatter = accuracy.mean(1), np.empty(classes)
    for part in np.array_split(np.argsort(truth, kind="stable"), min(10, classes)):
        scatter[part] = np.sqrt(accuracy[part].var(1, ddof=1).mean())
    noise = scatter * np.random.default_rng(0).standard_normal((200, classes))
    lucky = {}
    for k in (seeds - 1, seeds):
        means = truth + noise / np.sqrt(k)
        best = means.argmax(1)
        lucky[k] = float((means[np.arange(len(means)), best] - truth[best]).mean())
    return left_out_bias(accuracy) * (lucky[seeds] / lucky[seeds - 1] if lucky[seeds - 1] else 1.0)


def left_out_bias(accuracy: np.ndarray) -> float:
    """Points by which the best mean of all but one seed of `accuracy` (classes, seeds) is too high.

    Measured with the seed left out: the class that is best in the other seeds has a lower accuracy in that one.
    """
    gaps = []
    for seed in range(accuracy.shape[1]):
        others = np.delete(accuracy, seed, 1).mean(1)
        shift = accuracy[:, seed].mean() - others.mean()  # a seed's luck that all classes share is no bias
        gaps.append(others.max() - accuracy[others.argmax(), seed] + shift)
    return float(np.mean(gaps))


def quality(counts: Counts, cifar10: np.ndarray | None = None) -> dict[str, float]:
    """How far the table can be trusted, over its trained classes (a row each); Spearman correlations, points, shares.

    `cifar10` are NAS-Bench-201's test accuracies of all cells, (15625,), for comparison. Correlations between
    seeds are of single trainings' test accuracies, means over pairs of seeds; the better half is the one by mean
    validation accuracy.
    """
    from scipy.stats import spearmanr

    def rank(x: np.ndarray, y: np.ndarray) -> float:
        return float(spearmanr(x, y).statistic)

    is_trained = counts.is_trained
    valid, test, proxy = (counts.accuracy(k)[is_trained] for k in range(len(COLUMNS)))
    best_half = valid.mean(1) >= np.median(valid.mean(1))
    pairs = [(s, t) for s in range(len(SEEDS)) for t in range(s)]
    mean = test.mean(1)
    best_tenth = np.argsort(mean, kind="stable")[-max(1, len(mean) // 10) :]
    sd, near_best = (float(np.sqrt(test[k].var(1, ddof=1).mean())) for k in (slice(None), best_tenth))
    measures = {
        "classes": float(is_trained.sum()),
        "valid-test": float(np.mean([rank(valid[:, s], test[:, s]) for s in range(len(SEEDS))])),
        "seed-seed": float(np.mean([rank(test[:, s], test[:, t]) for s, t in pairs])),
        "seed-seed, better half": float(np.mean([rank(test[best_half, s], test[best_half, t]) for s, t in pairs])),
        "proxy-full": rank(proxy.mean(1), mean),
        "standard deviation over seeds, points": sd,
        "standard deviation over seeds in the best tenth, points": near_best,
        "within a standard error of the best": float((mean >= mean.max() - near_best / len(SEEDS) ** 0.5).mean()),
        "the optimum is overstated by, points": overstatement(test),
    }
    if cifar10 is not None:
        means = np.bincount(counts.class_of, weights=cifar10) / np.bincount(counts.class_of)
        measures["digits201-CIFAR-10"] = rank(mean, means[is_trained])
    return measures


PRESETS = {
    "smoke": Preset(channels=4, cells=1, resolution=CANVAS, images=320, epochs=2, batch_size=32),
    # The table's own network: results/gicso-study has what a supernet of one cell a stage knew.
    "small": Preset(channels=8, cells=3, resolution=CANVAS, images=None, epochs=40, batch_size=64),
}


SIMULATED_SECONDS = 35.0  # pay for about a hundred queries of the proxy


def _search_images(dataset: str, resolution: int, count: int | None) -> tuple[Images, Images]:
    from benchmarks.digits201.images import search_images  # imports torch, which queries of the table do not need

    return search_images(dataset, resolution, count)


@lru_cache(maxsize=1)
def open_digits201() -> TableBenchmark:
    """The embedded benchmark; its file is checked against the checksum that this version was released with."""
    counts = load_counts()
    is_trained = counts.is_trained
    if not is_trained.all():
        raise UserError(
            f"{NAME}'s table is still being trained ({int(is_trained.sum()):,} of {len(is_trained):,} distinct "
            f"cells): harness data build {NAME} --out {FILE} goes on"
        )
    if counts.sha256 != SHA256:
        raise UserError(f"{FILE}: not the table of this version (sha256 {counts.sha256[:12]}); install it again")
    return TableBenchmark(
        name=NAME,
        table=table_of(counts),
        classes={NAME: SIZE.num_classes},
        scores={(NAME, "valid"): (NAME, "valid", FULL), (NAME, "test"): (NAME, "test", FULL)},
        proxies={NAME: (NAME, "valid", PROXY)},
        presets=PRESETS,
        simulated_seconds=SIMULATED_SECONDS,
        in_channels=SIZE.in_channels,
        images=_search_images,
    )


ENTRY = Entry(
    name=NAME,
    text="the same cells on cluttered digits, trained by this project; table and images are embedded",
    space=space,
    datasets=(NAME,),
    presets=PRESETS,
    simulated_seconds=SIMULATED_SECONDS,
    open=lambda table, places: open_digits201(),
    describe=describe,
    details=details,
    tools="benchmarks.digits201.tools",
)
