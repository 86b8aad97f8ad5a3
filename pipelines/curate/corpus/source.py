"""Where an engine reads pairs from: the stored scores of shards, one shard at a time, and the rows that still stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import Rows


class ShardSource(Protocol):
    """The scores of shards 0 to `count` - 1, in the order of their names. It is pickled to workers."""

    @property
    def count(self) -> int:
        """The number of shards."""
        ...

    def name(self, shard: int) -> str:
        """The shard's name."""
        ...

    def rows(self, shard: int) -> int:
        """How many rows the shard has; known without reading it."""
        ...

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows of a shard, in order."""
        ...

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each row passes the rules that look at one pair at a time."""
        ...


@dataclass(frozen=True)
class TablesInMemory:
    """A source of tables that are in memory: `tables` by name, with the mask `passing` of each (default: all)."""

    tables: dict[str, pa.Table]
    masks: dict[str, npt.NDArray[np.bool_]] | None = None

    @property
    def count(self) -> int:
        return len(self.tables)

    def name(self, shard: int) -> str:
        return sorted(self.tables)[shard]

    def rows(self, shard: int) -> int:
        return self.tables[self.name(shard)].num_rows

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        return self.tables[self.name(shard)].select(list(columns))

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        if self.masks is None:
            return np.ones(self.rows(shard), np.bool_)
        return self.masks[self.name(shard)]


def standing_rows(
    source: ShardSource,
    shard: int,
    columns: Sequence[str],
    dropped: npt.NDArray[np.int64],
    *,
    is_earlier: bool = False,
) -> Rows:
    """The rows of a shard that pass its per-pair rules and whose place is not among `dropped`.

    Where none stands the shard is read all the same, since the empty table has the columns' types.
    """
    stands = np.array(source.passing(shard), np.bool_)
    stands[dropped] = False
    rows = np.flatnonzero(stands).astype(np.int64)
    table = source.load(shard, columns)
    if len(rows) < table.num_rows:
        table = table.take(pa.array(rows))
    return Rows(shard, source.name(shard), rows, table, is_earlier)
