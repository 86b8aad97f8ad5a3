"""The ablation plan: one base recipe, rows that differ from it, and what is measured on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from data_filters.errors import InputError
from pipelines.common.config import Section
from pipelines.common.yaml_line import yaml_line
from pretrain.config import PretrainConfig
from pretrain.tasks import config_class

LOCAL = ("workers.count=1", "workers.minimum=null")  # each training is one plain process
# Values of overrides and options are Any: the recipe and the tasks that take them check them.


def _check_folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"{name!r} is not a valid folder name: letters, digits, _ . -")
    return name


Name = Annotated[str, AfterValidator(_check_folder_name)]


class Evaluation(Section):
    """One evaluation task on one split of the world; with a title its scores stand in a separate line of the table."""

    name: Name = Field(description="name of the folder that its results are written to")
    task: str = Field(description="as in `loupe evaluate --task`")
    split: str = Field("test", description="folder of the world (--world) that is evaluated on")
    title: str | None = Field(
        None, description="null: the scores stand in the row's own line; else in a line below it (a baseline)"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the task, such as gallery or batch_size"
    )


class StartPoint(Section):
    """The first steps that a row shares with another row: it starts from that row's checkpoint."""

    row: str | None = Field(None, description="row whose checkpoint is taken; null: the plan's shared_start")
    steps: int = Field(ge=1, description="steps of that row after which the checkpoint is taken")


class Row(Section):
    """One row of the ablation: one training for each seed."""

    title: str = Field(description="name of its line in the table")
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="keys that differ from the base recipe, nested or a.b.c; a mapping at `objectives` replaces all",
    )
    start: StartPoint | None = Field(None, description="where the row starts; null: from random weights")
    steps: int | None = Field(
        None, ge=1, description="steps in place of the plan's: a row that is compared at equal seconds"
    )
    evaluations: tuple[Evaluation, ...] = Field(
        (), description="evaluations added to the plan's; one of the same name replaces the plan's"
    )
    skip: tuple[str, ...] = Field(
        (), description="names of the plan's evaluations that are not run on this row"
    )


class AblationPlan(Section):
    """A whole ablation plan: every row trains on the same data with the same seeds, and the same number of steps
    unless it has its own."""

    title: str = Field("Ablation", description="heading of the table, the picture and the page")
    base: str = Field(description="pretraining recipe that all rows start from: shipped name or path")
    common: dict[str, Any] = Field(default_factory=dict, description="overrides of the base for every row")
    shared_start: str | None = Field(None, description="row that the others start from, unless they name one")
    rows: dict[Name, Row] = Field(min_length=1, description="rows by the name of their folder")
    compare: tuple[tuple[str, str], ...] = Field(
        (), description="pairs of rows, [A, B]: paired differences A - B over the seeds, with 95% intervals"
    )
    evaluations: tuple[Evaluation, ...] = Field((), description="evaluations that are run on every row")

    @model_validator(mode="after")
    def check_rows(self) -> AblationPlan:
        """Refuse unknown rows and evaluations, and two evaluations of a task on a split in one line."""
        if self.shared_start is not None and self.shared_start not in self.rows:
            raise ValueError(f"shared_start is {self.shared_start!r}; rows are {', '.join(self.rows)}")
        common = [evaluation.name for evaluation in self.evaluations]
        if len(set(common)) < len(common):
            raise ValueError(f"evaluations are {', '.join(common)}; give each a name of its own")
        for name in [row for pair in self.compare for row in pair]:
            if name not in self.rows:
                raise ValueError(f"compare has {name!r}; rows are {', '.join(self.rows)}")
        for name, row in self.rows.items():
            self._check_start(name)
            for skipped in row.skip:
                if skipped not in common:
                    raise ValueError(f"rows.{name}.skip has {skipped!r}; evaluations are {', '.join(common)}")
            places = [(other.title, other.task, other.split) for other in self.evaluations_of(name)]
            for place in {place for place in places if places.count(place) > 1}:
                _, task, split = place
                raise ValueError(
                    f"rows.{name} has {places.count(place)} evaluations of {task} on {split} in one line; "
                    "give the others a title"
                )
        return self

    def _check_start(self, name: str) -> None:
        """Refuse a start that is no other row, or not later than that row's own start (which excludes circles)."""
        start = self.rows[name].start
        if start is None:
            return
        if start.row is None and self.shared_start is None:
            raise ValueError(f"rows.{name}.start has no row; name one, or set shared_start")
        other, steps = self.start_of(name) or ("", 0)
        if other not in self.rows or other == name:
            known = ", ".join(row for row in self.rows if row != name)
            raise ValueError(f"rows.{name}.start.row is {other!r}; other rows are {known}")
        before = self.rows[other].start
        if before is not None and before.steps >= steps:
            raise ValueError(
                f"rows.{name}.start.steps is {steps}; {other} itself starts at {before.steps}; "
                "start later, or from that row's own start"
            )

    def start_of(self, name: str) -> tuple[str, int] | None:
        """(row, steps) of the checkpoint that a row starts from; None: from random weights."""
        start = self.rows[name].start
        return None if start is None else (start.row or self.shared_start or "", start.steps)

    def evaluations_of(self, name: str) -> list[Evaluation]:
        """The evaluations of a row: the plan's, then its own."""
        row = self.rows[name]
        shared = {shared.name: shared for shared in self.evaluations if shared.name not in row.skip}
        return list((shared | {added.name: added for added in row.evaluations}).values())

    def in_order(self, wanted: Sequence[str] | None = None) -> list[str]:
        """The wanted rows (None: all) and those that they start from; each after the row that it starts from.

        Raises InputError on an unknown row.
        """
        ordered: list[str] = []
        for name in self.rows if wanted is None else wanted:
            if name not in self.rows:
                raise InputError(f"--rows has {name!r}; the plan's rows are {', '.join(self.rows)}")
            chain = [name]
            while start := self.start_of(chain[-1]):
                chain.append(start[0])
            ordered += [row for row in reversed(chain) if row not in ordered]
        return ordered

    def config_of(self, name: str) -> PretrainConfig:
        """The recipe of a row: the base with the common overrides and its own. Raises InputError naming the row."""
        row = self.rows[name]
        values = [*assignments(self.common), *assignments(row.overrides)]
        if row.steps is not None:
            values.append((("schedule", "steps"), row.steps))
        sets = [f"{'.'.join(path)}={yaml_line(value)}" for path, value in values]
        try:
            return load_recipe(config_class, PRETRAINING, self.base, [*sets, *LOCAL])
        except InputError as error:
            raise InputError(f"row {name}: {error}") from error

    def shared_steps(self, name: str) -> list[int]:
        """Steps of this row after which other rows start from it, ascending."""
        starts = [self.start_of(other) for other in self.rows]
        return sorted({start[1] for start in starts if start is not None and start[0] == name})


def assignments(
    overrides: dict[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, value) of nested or dotted overrides; a mapping at `objectives` is one value, which replaces."""
    for key, value in overrides.items():
        path = (*above, *str(key).split("."))
        if isinstance(value, dict) and value and path != ("objectives",):
            yield from assignments(value, path)
        else:
            yield path, value
