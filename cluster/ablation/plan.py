"""What an ablation compares: one base recipe, rows that differ from it, and what is measured on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, model_validator

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from data_filters.errors import InputError
from pretrain.config import DualEncoderConfig, Section

LOCAL = ("workers.count=1", "workers.minimum=null")  # each training is one plain process


def _is_folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"{name!r} is to be a folder's name: letters, digits, _ . -")
    return name


Name = Annotated[str, AfterValidator(_is_folder_name)]


class Evaluation(Section):
    """One task on one split of the world; with a title its scores stand in a line of their own."""

    name: Name = Field(description="its folder")
    task: str = Field(description="as in `loupe evaluate --task`")
    split: str = Field("test", description="folder under --world")
    title: str | None = Field(
        None, description="null: the scores of the row itself; else a line below it (a baseline)"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="gallery, batch_size, device and the task's own"
    )


class StartPoint(Section):
    """The training that a row shares with another one."""

    row: str | None = Field(None, description="whose first steps; null: the plan's shared_start")
    steps: int = Field(ge=1, description="steps that are shared")


class Row(Section):
    """One line of the table: a training for each seed."""

    title: str = Field(description="as the table says it")
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="what differs from the base recipe, nested or a.b.c; `objectives` stands in place of the base's",
    )
    start: StartPoint | None = Field(None, description="null: from random weights")
    evaluations: tuple[Evaluation, ...] = Field(
        (), description="beside the plan's; one of the same name in place of it"
    )
    skip: tuple[str, ...] = Field((), description="evaluations of the plan that this row is spared")


class AblationPlan(Section):
    """A whole ablation: every row trains the same number of steps on the same data with the same seeds."""

    title: str = Field("Ablation", description="over table and picture")
    base: str = Field(description="pretraining recipe, shipped name or path")
    common: dict[str, Any] = Field(default_factory=dict, description="overrides for every row")
    shared_start: str | None = Field(None, description="row whose first steps the others share")
    rows: dict[Name, Row] = Field(min_length=1, description="by the name of their folder")
    evaluations: tuple[Evaluation, ...] = Field((), description="run on every row's export")

    @model_validator(mode="after")
    def check_rows(self) -> AblationPlan:
        if self.shared_start is not None and self.shared_start not in self.rows:
            raise ValueError(f"shared_start is {self.shared_start!r}; rows are {', '.join(self.rows)}")
        common = [one.name for one in self.evaluations]
        if len(set(common)) < len(common):
            raise ValueError(f"evaluations are {', '.join(common)}; give each a name of its own")
        for name, row in self.rows.items():
            self._check_start(name)
            for skipped in row.skip:
                if skipped not in common:
                    raise ValueError(f"rows.{name}.skip has {skipped!r}; evaluations are {', '.join(common)}")
            own = [(one.title, one.task, one.split) for one in self.evaluations_of(name)]
            for twice in {one for one in own if own.count(one) > 1}:
                raise ValueError(
                    f"rows.{name} has {own.count(twice)} evaluations of {twice[1]} on {twice[2]} in one line; "
                    "give the others a title"
                )
        return self

    def _check_start(self, name: str) -> None:
        """Each start is a row, and earlier than where that row itself starts from; so there is no circle."""
        start = self.rows[name].start
        if start is None:
            return
        if start.row is None and self.shared_start is None:
            raise ValueError(f"rows.{name}.start has no row; name one, or set shared_start")
        other, steps = self.start_of(name) or ("", 0)
        if other not in self.rows or other == name:
            known = ", ".join(one for one in self.rows if one != name)
            raise ValueError(f"rows.{name}.start.row is {other!r}; other rows are {known}")
        before = self.rows[other].start
        if before is not None and before.steps >= steps:
            raise ValueError(
                f"rows.{name}.start.steps is {steps}; {other} itself starts at {before.steps}; "
                "start later, or from that row's own start"
            )

    def start_of(self, name: str) -> tuple[str, int] | None:
        """(row, steps) that a row starts from."""
        start = self.rows[name].start
        return None if start is None else (start.row or self.shared_start or "", start.steps)

    def evaluations_of(self, name: str) -> list[Evaluation]:
        """What is measured on a row: the plan's evaluations, then its own."""
        row = self.rows[name]
        found = {one.name: one for one in self.evaluations if one.name not in row.skip}
        return list((found | {one.name: one for one in row.evaluations}).values())

    def in_order(self, wanted: Sequence[str] | None = None) -> list[str]:
        """The wanted rows, or all, and those they start from; each after the row that it starts from.

        Raises InputError on an unknown row.
        """
        ordered: list[str] = []
        for name in self.rows if wanted is None else wanted:
            if name not in self.rows:
                raise InputError(f"--rows has {name!r}; the plan's rows are {', '.join(self.rows)}")
            chain = [name]
            while start := self.start_of(chain[-1]):
                chain.append(start[0])
            ordered += [one for one in reversed(chain) if one not in ordered]
        return ordered

    def config_of(self, name: str) -> DualEncoderConfig:
        """A row's recipe: the base, what is common, what is its own. Raises InputError naming the row."""
        values = [*assignments(self.common), *assignments(self.rows[name].overrides)]
        sets = [f"{'.'.join(path)}={as_yaml(value)}" for path, value in values]
        try:
            return load_recipe(DualEncoderConfig, PRETRAINING, self.base, [*sets, *LOCAL])
        except InputError as error:
            raise InputError(f"row {name}: {error}") from error

    def shared_steps(self, name: str) -> list[int]:
        """After how many steps other rows start from this one."""
        starts = [self.start_of(other) for other in self.rows]
        return sorted({start[1] for start in starts if start is not None and start[0] == name})


def assignments(
    overrides: dict[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of nested or dotted overrides; a mapping at `objectives` is one value."""
    for key, value in overrides.items():
        path = (*above, *str(key).split("."))
        if isinstance(value, dict) and value and path != ("objectives",):
            yield from assignments(value, path)
        else:
            yield path, value


def as_yaml(value: Any) -> str:
    """A value on one line, as the right side of `--set`."""
    return (
        yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
        .removesuffix("...\n")
        .strip()
    )
