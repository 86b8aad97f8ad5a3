"""What runs on the workers of Ray Data when a rule goes over all shards: functions from a block to blocks.

A block that starts a stage has the column `group`: numbers of groups of shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.common.causes import TaskFailed
from pipelines.curate.corpus.corpus import Reduce, Rows, Select
from pipelines.curate.corpus.drop_files import DropFiles, write_drops
from pipelines.curate.corpus.drops import ROW_BITS, column_values, first_drops, of_shard, places
from pipelines.curate.corpus.partitions import Group
from pipelines.curate.corpus.source import ShardSource, standing_rows
from pipelines.ray_tasks import RETRIES, _attempt

T = TypeVar("T")

GROUP = "group"
COUNTS = pa.schema([(GROUP, pa.int64()), ("drops", pa.int64())])


@dataclass(frozen=True)
class Population:
    """All shards in their groups, and the drops of the rules that have run."""

    source: ShardSource
    earlier: ShardSource | None
    groups: tuple[Group, ...]
    rules: tuple[DropFiles, ...] = ()

    def standing(self, group: int, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of a group's shards that no rule has dropped yet, shard after shard."""
        dropped = self._dropped(group)
        for shard in range(self.groups[group].first, self.groups[group].end):
            yield self._standing(group, shard, columns, dropped)

    def standing_of(self, group: int, shard: int, columns: Sequence[str]) -> Rows:
        """The rows of one shard of a group that no rule has dropped yet."""
        return self._standing(group, shard, columns, self._dropped(group))

    def source_of(self, group: int) -> ShardSource:
        """Where a group's shards are read from."""
        source = self.earlier if self.groups[group].is_earlier else self.source
        assert source is not None
        return source

    def firsts(self) -> npt.NDArray[np.int64]:
        """The first shard of each group of the source."""
        return np.array([group.first for group in self.groups if not group.is_earlier], np.int64)

    def _dropped(self, group: int) -> list[pa.Table]:
        return [] if self.groups[group].is_earlier else [rule.read(group) for rule in self.rules]

    def _standing(self, group: int, shard: int, columns: Sequence[str], dropped: list[pa.Table]) -> Rows:
        gone = np.concatenate([np.empty(0, np.int64), *(places(of_shard(drops, shard)) for drops in dropped)])
        is_earlier = self.groups[group].is_earlier
        return standing_rows(self.source_of(group), shard, columns, gone, is_earlier=is_earlier)


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


@dataclass(frozen=True)
class ReduceToCell:
    """All rows of some keys → the table that `reduce` returns, in one cell: a block of one row cannot be split."""

    reduce: Reduce

    def __call__(self, rows: pa.Table) -> pa.Table:
        check_attempt()
        if not rows.num_rows:
            return pa.table({"table": pa.array([], pa.large_binary())})
        table = self.reduce(rows.combine_chunks())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return pa.table({"table": one_cell(sink.getvalue())})


@dataclass(frozen=True)
class MeasureCells(Generic[T]):
    """Cells of `ReduceToCell` → a small result of each, pickled."""

    measure: Callable[[pa.Table], T]

    def __call__(self, cells: pa.Table) -> pa.Table:
        check_attempt()
        buffers = [cell.as_buffer() for cell in cells.column("table")]
        return pickled([self.measure(pa.ipc.open_stream(buffer).read_all()) for buffer in buffers])


@dataclass
class InStore(Generic[T]):
    """A value in Ray's object store, read at most once by a process; arrays are views of the store's memory."""

    reference: Any
    _value: list[T] = field(default_factory=list)

    def get(self) -> T:
        if not self._value:
            import ray

            self._value.append(ray.get(self.reference))
        return self._value[0]

    def __getstate__(self) -> dict[str, Any]:
        return {"reference": self.reference, "_value": []}


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


def one_cell(buffer: pa.Buffer) -> pa.Array:
    """A column of large_binary of one row, without a copy."""
    offsets = pa.array([0, buffer.size], pa.int64()).buffers()[1]
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, buffer])
