"""What a record and a campaign hold, checked when they are read: files may come from other people.

Only what tables, tests and plots read is named here; further keys are let through, so that a later version's files
can be read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

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


class Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Score(Checked):
    dataset: Name
    split: Literal["valid", "test"]
    epochs: Count
    value: Percent
    trials: Count
    record: Name


class LabelledScore(Score):
    without_none: bool


class Point(Checked):
    step: Count
    cell: Name | None = None  # older points have the index alone
    index: Index | None
    search_seconds: Seconds
    simulated_seconds: Seconds
    evaluations: Count
    scores: list[Score]


class Phase(Checked):
    phase: Name
    step: Count


class OneShot(Checked):
    spearman: float | None
    spearman_good: float | None
    seconds: Seconds | None = None  # older records lack it
    accuracies: list[Percent] = []
    losses: list[Annotated[float, Field(allow_inf_nan=True)]] = []  # of a supernet that diverged, nan


class Trace(Checked):
    bytes: Count
    sha256: Name


class Preset(Checked):
    name: Name


class Record(Checked):
    key: Name
    searcher: Name
    label: Label
    spec: Name
    kind: Name
    config: dict[str, Any]
    seed: Seed
    search_dataset: Name
    preset: Preset | None = None  # imported cells have none
    cell: Name | None
    index: Index | None
    index_without_none: Index | None
    scores: list[LabelledScore]
    trajectory: list[Point]
    steps: Count
    search_seconds: Seconds | None
    simulated_seconds: Seconds | None
    evaluations: Count | None
    train_images: Count | None
    eval_images: Count | None
    collapsed: bool
    status: Name
    error: Text | None
    environment: dict[str, str | int | None]
    begun_in: dict[str, str | int | None] | None = None  # environment, where another one finished it
    disconnected: bool = False
    at_chance: bool = False
    phases: list[Phase] = []
    swarm_diversity: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]] = []
    queried_cells: Count | None = None
    queried_canonical: Count | None = None
    alpha_entropy: Annotated[float | None, Field(allow_inf_nan=True)] = None  # of alphas that diverged, nan
    alpha_change: Annotated[float | None, Field(allow_inf_nan=True)] = None
    one_shot: OneShot | None = None
    trace: Trace | None = None
    notes: list[Text] = []  # that it began anew, and why

    @model_validator(mode="after")
    def _done_with_an_answer(self) -> Record:
        if self.status == "done" and self.cell is None:
            raise ValueError("done, but without a cell")
        return self


class Optimum(Checked):
    index: Index | None
    value: Percent


class Column(Checked):
    epochs: Count
    cells: Annotated[int | None, Field(ge=1)] = None  # that the table holds; older campaigns do not say
    optimum: Optimum
    mean: Percent
    quantiles: Annotated[list[Percent], Field(min_length=2, max_length=20_000)]


class Row(Checked):
    label: Label
    searcher: Name
    spec: Name
    kind: Name
    config: dict[str, Any]
    answer_rule: Text = ""  # how its cell is chosen; older campaigns do not say
    seeds: list[Seed] = []
    plugin: Name = ""  # of a searcher of another package
    plugin_source: Name | None = None


class Ablations(Checked):
    of: Label
    rows: dict[Label, Name]


class Cloud(Checked):
    width: Annotated[float, Field(gt=0)]
    bins: dict[str, list[Annotated[list[int], Field(min_length=3, max_length=3)]]]


class Campaign(Checked):
    benchmark: Name
    table_sha256: Name
    table_source: Text
    search_dataset: Name
    preset: Preset
    precision: Name
    threads: Count
    seeds: list[Seed]
    searchers: list[Row]
    space: dict[str, dict[str, Column]]
    power_note: Text
    chosen: Text
    command: Text
    created: Name
    versions: dict[str, str | int | None]
    proxy_cost: Text = ""
    ablations: Ablations | None = None
    cloud: Cloud | None = None
    warnings: list[Text] = []


RECORD, CAMPAIGN = TypeAdapter(Record), TypeAdapter(Campaign)


def check(value: dict[str, Any], adapter: TypeAdapter[Any], where: object) -> dict[str, Any]:
    """The value as it is; UserError naming the first key that is not what it must be."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: damaged or not of this program: {key}: {first['msg']}") from None
    return value
