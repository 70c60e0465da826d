"""What a campaign and its records hold: the values that tables, tests, plots and pages read.

Files may come from other people, so each is checked when it is read. Further keys are let through, so that a later
version's files can be read.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from benchmarks.base import Preset, Recipe
from benchmarks.errors import LABEL, UserError
from harness.quantities import LARGEST_SEED

Name = Annotated[str, Field(max_length=1000)]
Text = Annotated[str, Field(max_length=20_000)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Finite = Annotated[float, Field(ge=-1e12, le=1e12)]
Percent = Annotated[float, Field(ge=-1e6, le=1e6)]
Index = Count  # of a cell, where its space has an official order
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Label = Annotated[str, Field(pattern=f"^{LABEL}$")]
Environment = dict[str, Any]  # machine, versions, revision: `provenance.environment`; text and numbers


class Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Score(Checked):
    """An accuracy of a cell and where it comes from."""

    dataset: Name
    split: Literal["valid", "test"]
    epochs: Count
    value: Percent
    trials: Count  # trainings that the value is the mean of
    record: Name  # what those networks were trained on
    without_none: bool  # whether the cell was derived without `none`
    each: list[Percent] = []  # of trainings of ours, the value of each evaluation seed
    source: Literal["table", "trained"] = "table"  # trained: by this program, from scratch

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Scores of a table say neither, as in older records."""
        return {
            name: value
            for name, value in dump(self).items()
            if self.source == "trained" or name not in ("each", "source")
        }


class Point(Checked):
    """A change of a search's answer: when it came, and its scores."""

    step: Count
    cell: Name | None = None  # older points have the index alone
    index: Index | None
    search_seconds: Seconds
    simulated_seconds: Seconds
    evaluations: Count
    scores: list[Score]


class Phase(Checked):
    phase: Name
    step: Count  # its first


class OneShot(Checked):
    """How a search's scores rank a sample of cells after it, beside the cells' final accuracies.

    The scores are losses in a supernet, or those of a training-free search.
    """

    spearman: float | None
    spearman_good: float | None  # in the better half
    seconds: Seconds | None = None  # older records lack it
    cells: list[int | str] = []
    accuracies: list[Percent] = []  # empty where they are other people's and may not be kept
    ceiling: float | None = None  # the correlation of a perfect score with accuracies as noisy as these
    pairs: Count = 0  # of trainings of one cell, from which the ceiling is known
    others: dict[Name, float | None] = {}  # correlations of figures that need no training
    losses: list[Annotated[float, Field(allow_inf_nan=True)]] = []  # of a supernet that diverged, nan
    scores: list[Finite] = []  # of a training-free search, the higher the better

    @property
    def liking(self) -> list[float]:
        """What the search thinks of each cell, the higher the better; empty in records without a sample."""
        return self.scores or [-loss for loss in self.losses]


class Fingerprint(Checked):
    """Length and checksum of a finished run's trace."""

    bytes: Count
    sha256: Name


class Record(Checked):
    """What a run leaves. The defaults are those of a run that gave no answer; None is what is not known.

    Imported cells have no search: neither preset, trajectory nor costs.
    """

    searcher: Name
    label: Label
    spec: Name
    kind: Name
    config: dict[str, Any]
    seed: Seed
    benchmark: Name | None = None  # older records lack it
    search_dataset: Name
    preset: Preset | None = None
    precision: Name | None = None
    threads: Count | None = None
    table_sha256: Name | None = None
    key: Name
    cell: Name | None = None
    index: Index | None = None
    cell_without_none: Name | None = None
    index_without_none: Index | None = None
    scores: list[Score] = []
    trajectory: list[Point] = []
    steps: Count = 0
    search_seconds: Seconds | None = 0.0
    simulated_seconds: Seconds | None = 0.0
    evaluations: Count | None = 0
    train_images: Count | None = 0
    eval_images: Count | None = 0
    collapsed: bool = False
    disconnected: bool = False
    phases: list[Phase] = []
    alpha_entropy: Annotated[float | None, Field(allow_inf_nan=True)] = None  # of alphas that diverged, nan
    alpha_change: Annotated[float | None, Field(allow_inf_nan=True)] = None
    swarm_diversity: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]] = []  # steps done, diversity
    queried_cells: Count | None = None
    queried_canonical: Count | None = None
    at_chance: bool = False
    one_shot: OneShot | None = None
    trace: Fingerprint | None = None
    begun_in: Environment | None = None  # environment, where another one finished it
    status: Name
    error: Text | None = None
    environment: Environment = {}
    notes: list[Text] = []  # that it began anew, and why

    @model_validator(mode="after")
    def _with_an_answer(self) -> Record:
        if self.finished and self.cell is None:
            raise ValueError("done, but without a cell")
        return self

    @property
    def finished(self) -> bool:
        """Whether the run ended with a cell."""
        return self.status == "done"

    @property
    def guessing(self) -> bool:
        """Whether a finished run's supernet knew no more than a guess; in older records: whether its losses are NaN."""
        losses = self.one_shot.losses if self.one_shot else []
        return self.finished and (self.at_chance or not all(map(isfinite, losses)))

    def final(self, dataset: str, split: str, without_none: bool = False) -> float | None:
        """The accuracy of the answer in percent, None where it has none."""
        score = self.score(dataset, split, without_none)
        return None if score is None else score.value

    def score(self, dataset: str, split: str, without_none: bool = False) -> Score | None:
        """The accuracy of the answer with its origin, None where it has none."""
        for score in self.scores:
            if (score.dataset, score.split, score.without_none) == (dataset, split, without_none):
                return score
        return None


class EvaluationRecord(Checked):
    """What the training of a cell's network from scratch leaves. The defaults are those of one that failed."""

    benchmark: Name
    cell: Name
    target: Name  # the data set that it was trained and tested on
    recipe: Recipe
    label: Label
    seed: Seed
    precision: Name
    threads: Count
    devices: Annotated[int, Field(ge=1, le=10_000)]
    batch_per_device: Count
    images: Name  # checksum of training and test images
    key: Name
    accuracy: Annotated[float | None, Field(ge=0, le=100)] = None  # of the test images, percent, after the last epoch
    train_loss: Finite | None = None  # mean cross-entropy of the last epoch, without the auxiliary head's
    parameters: Count | None = None  # without the auxiliary head
    multiply_adds: Count | None = None  # of an image, in convolutions and linear maps, without the auxiliary head
    seconds: Seconds = 0.0  # of training, on all devices at once
    train_images: Count = 0  # images trained on, over all epochs
    test_images: Count = 0
    trace: Fingerprint | None = None
    begun_in: Environment | None = None  # environment, where another one finished it
    status: Name
    error: Text | None = None
    environment: Environment = {}
    notes: list[Text] = []

    @model_validator(mode="after")
    def _with_an_accuracy(self) -> EvaluationRecord:
        if self.finished and self.accuracy is None:
            raise ValueError("done, but without an accuracy")
        return self

    @property
    def finished(self) -> bool:
        """Whether the network was trained to the end and tested."""
        return self.status == "done"


class Optimum(Checked):
    index: Index | None
    cell: Name | None = None
    value: Percent


class Column(Checked):
    """What the benchmark's table holds of one data set and split."""

    epochs: Count
    cells: Annotated[int | None, Field(ge=1)] = None  # older campaigns do not say
    optimum: Optimum
    mean: Percent
    quantiles: Annotated[list[Percent], Field(min_length=2, max_length=20_000)]
    trial_std: list[Percent] = []  # of single trainings of a cell, in each tenth of the cells from the worst on


class Entrant(Checked):
    """A searcher with its settings in a campaign, or imported cells: what has a row in its tables."""

    label: Label
    searcher: Name
    spec: Name
    kind: Name
    config: dict[str, Any]
    answer_rule: Text = ""  # how its cell is chosen; older campaigns do not say
    development: Text = ""  # how many of its settings were tried on this benchmark before; older campaigns do not say
    seeds: list[Seed] | None = None  # planned; older campaigns have those of all searchers
    uses_seed: bool = True  # else all its runs are copies of one; older campaigns do not say
    plugin: Name = ""  # of a searcher of another package
    plugin_source: Name | None = None


class Ablations(Checked):
    of: Label
    rows: dict[Label, Name]  # label -> what is taken away


class Cloud(Checked):
    """Where the table's cells lie, for each data set: counts [validation bin, test bin, cells]."""

    width: Annotated[float, Field(gt=0)]  # of a bin, in points
    bins: dict[str, list[Annotated[list[int], Field(min_length=3, max_length=3)]]]


class Trainings(Checked):
    """How a campaign's answers are trained on a target from scratch, and with which seeds."""

    recipe: Recipe
    seeds: list[Seed]
    precision: Name
    threads: Count
    devices: Annotated[int, Field(ge=1, le=10_000)] = 1  # of one training


class Campaign(Checked):
    """campaign.json: settings that all runs share, the searchers, and what the benchmark's table holds."""

    benchmark: Name
    table_sha256: Name
    search_dataset: Name
    preset: Preset
    precision: Name
    threads: Count
    table_source: Text
    proxy_cost: Text = ""
    endpoint: Name = ""  # the primary one: a data set, or `mean`; empty where none was declared
    seeds: list[Seed]
    searchers: list[Entrant]
    space: dict[str, dict[str, Column]]  # data set -> split -> the table's cells
    cloud: Cloud | None = None
    ablations: Ablations | None = None
    evaluations: dict[Name, Trainings] = {}  # by target; none where a table has the scores
    chosen: Text = ""
    command: Text = ""
    device: Name = ""
    versions: Environment = {}
    created: Name = ""
    power_note: Text = ""
    warnings: list[Text] = []  # of campaigns that were joined

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name != "evaluations" or self.evaluations}


File = TypeVar("File", bound=Record | EvaluationRecord | Campaign)


def parse(kind: type[File], value: dict[str, Any], where: object) -> File:
    """The content of a file as a value of that kind; UserError naming the first key that is not what it must be."""
    try:
        return kind.model_validate(value)  # type: ignore[return-value]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: damaged or not of this program: {key}: {first['msg']}") from None
