"""The JSON files of a cell, typed: `job.json` (what was asked) and `result.json` (what came out, written last)."""

from __future__ import annotations

from typing import NotRequired, TypedDict

JOB, RESULT = "job.json", "result.json"


class StartJob(TypedDict):
    """The row that a cell's row branches off, and after how many steps."""

    row: str
    steps: int


class EvaluationJob(TypedDict):
    """One evaluation: `identity` is the hash of all that decides its scores except the weights."""

    name: str
    task: str
    split: str
    title: str | None
    data: str
    options: dict[str, object]
    identity: str


class Job(TypedDict):
    """What a cell has to do; `config` is the whole recipe, `identity` the hash of all that its training depends on."""

    row: str
    seed: int
    identity: str
    steps: int
    start: StartJob | None
    config: dict[str, object]
    data: list[str]
    evaluations: list[EvaluationJob]


class TrainingCosts(TypedDict):
    """Medians over the logged steps, in seconds; `own_steps` are those that this run took after its start."""

    seconds_per_step: float
    cpu_seconds_per_step: float
    own_steps: float


class EvaluationScores(TypedDict):
    """The numbers of one evaluation by their dotted names (`image_to_text.R@1`); `identity` as in its job.

    Results of earlier versions have no identity.
    """

    identity: NotRequired[str]
    task: str
    split: str
    title: str | None
    scores: dict[str, float]


class Result(TypedDict):
    """What a finished cell measured; `evaluations` by name."""

    row: str
    seed: int
    identity: str
    steps: int
    start: StartJob | None
    training: TrainingCosts
    evaluations: dict[str, EvaluationScores]
