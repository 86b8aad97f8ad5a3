"""What runs on the workers of Ray Data when a rule goes over all shards: functions from a block to blocks.

A block that starts a stage has the column `group`: numbers of groups of shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.common.causes import TaskFailed
from pipelines.curate.corpus.corpus import Reduce, Rows, Select
from pipelines.curate.corpus.drop_files import write_drops
from pipelines.curate.corpus.drops import ROW_BITS, column_values, first_drops
from pipelines.curate.corpus.population import Population
from pipelines.ray_tasks import RETRIES, _attempt

T = TypeVar("T")

GROUP = "group"
COUNTS = pa.schema([(GROUP, pa.int64()), ("drops", pa.int64())])


@dataclass(frozen=True)
class SelectRows:
    """Groups → what `select` makes of their standing rows, a block for a shard or several."""

    population: Population
    columns: Sequence[str]
    select: Select

    def __call__(self, groups: pa.Table) -> Iterator[pa.Table]:
        for group in numbers(groups):
            for rows in self.population.standing(group, self.columns):
                yield self.select(rows)


@dataclass(frozen=True)
class ReduceToDrops:
    """All rows of some keys → the drops, with the group of each; `firsts` are the groups' first shards."""

    firsts: npt.NDArray[np.int64]
    reduce: Reduce

    def __call__(self, rows: pa.Table) -> pa.Table:
        check_attempt()
        drops = first_drops([self.reduce(rows.combine_chunks())] if rows.num_rows else [])
        shards = column_values(drops, "rank") >> np.int64(ROW_BITS)
        groups = np.searchsorted(self.firsts, shards, side="right") - 1
        return drops.append_column(GROUP, pa.array(groups, pa.int64()))


@dataclass(frozen=True)
class WriteDrops:
    """All drops of some groups → a file for each group, and how many it holds."""

    folder: str

    def __call__(self, drops: pa.Table) -> pa.Table:
        check_attempt()
        drops = drops.sort_by(GROUP)
        groups, firsts = np.unique(column_values(drops, GROUP), return_index=True)
        ends = [*firsts[1:], drops.num_rows]
        counts = [
            written(self.folder, int(group), drops.slice(first, end - first))
            for group, first, end in zip(groups, firsts, ends, strict=False)
        ]
        return pa.Table.from_pylist(counts, COUNTS)


@dataclass(frozen=True)
class ChooseDrops:
    """Groups → a file of what `fails` returns for their standing rows, and how many it holds."""

    population: Population
    columns: Sequence[str]
    fails: Select
    folder: str

    def __call__(self, groups: pa.Table) -> pa.Table:
        counts = []
        for group in numbers(groups):
            drops = [self.fails(rows) for rows in self.population.standing(group, self.columns)]
            counts.append(written(self.folder, group, *drops))
        return pa.Table.from_pylist(counts, COUNTS)


@dataclass(frozen=True)
class FoldRows(Generic[T]):
    """Groups → the sum of what `measure` returns for each shard, pickled."""

    population: Population
    columns: Sequence[str]
    measure: Callable[[Rows], T]
    add: Callable[[T, T], T]

    def __call__(self, groups: pa.Table) -> pa.Table:
        totals = []
        for group in numbers(groups):
            results = (self.measure(rows) for rows in self.population.standing(group, self.columns))
            total = next(results)
            for result in results:
                total = self.add(total, result)
            totals.append(total)
        return pickled(totals)


def written(folder: str, group: int, *drops: pa.Table) -> dict[str, int]:
    """Write a group's drops, where there are any, and say how many."""
    table = first_drops(drops)
    if table.num_rows:
        write_drops(folder, group, table)
    return {GROUP: group, "drops": table.num_rows}


def numbers(groups: pa.Table) -> list[int]:
    """The numbers of groups in a block. Raises TaskFailed where workers died at every attempt at this task."""
    found = [int(group) for group in groups.column(GROUP).to_pylist()]
    check_attempt()
    return found


def check_attempt() -> None:
    """Raise TaskFailed where the worker died at so many attempts before; Ray Data itself knows no limit."""
    if _attempt() > RETRIES:
        raise TaskFailed(
            "workers died at every attempt at a task of the decision: killed for want of memory or from outside, or "
            "crashed; set decide.memory lower, and run again"
        )


def pickled(values: Sequence[object]) -> pa.Table:
    """A row for each value, pickled."""
    from ray import cloudpickle

    return pa.table({"value": pa.array([cloudpickle.dumps(value) for value in values], pa.large_binary())})
