"""What stays in Ray's object store while a rule runs: tables that a reduce returned, and shared values."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pyarrow as pa

from pipelines.curate.corpus.corpus import Reduce
from pipelines.curate.corpus.ray_settings import WHOLE, data_context
from pipelines.curate.corpus.ray_stages import check_attempt, pickled
from pipelines.curate.corpus.stage_failure import Told

T = TypeVar("T")


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


class TablesInStore:
    """Tables in the object store, each in one cell of a dataset."""

    # Any: a ray.data.Dataset, whose class is known only where Ray is imported.
    def __init__(self, cells: Any, memory: int) -> None:
        self.cells, self.memory = cells, memory

    def map(self, measure: Callable[[pa.Table], T]) -> list[T]:
        """A small result of each."""
        with data_context(self.memory):
            return list(unpickled(self.cells.map_batches(Told(MeasureCells(measure)), **WHOLE)))


def unpickled(values: Any) -> Iterator[Any]:
    """What `pickled` made, of all blocks of a dataset, as they come."""
    for block in values.iter_batches(batch_size=None, batch_format="pyarrow"):
        for value in block.column("value"):
            yield pickle.loads(value.as_buffer())


def one_cell(buffer: pa.Buffer) -> pa.Array:
    """A column of large_binary of one row, without a copy."""
    offsets = pa.array([0, buffer.size], pa.int64()).buffers()[1]
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, buffer])
