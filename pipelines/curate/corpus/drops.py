"""Brings the drops of a rule into their one order: by rank, each rank once, on account of the smallest other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS

ROW_BITS = 32
ROW_MASK = (1 << ROW_BITS) - 1


def first_drops(tables: Iterable[pa.Table]) -> pa.Table:
    """All drops of the tables (DROPS, in any order) sorted by rank, each rank once.

    Of several drops of a rank the one with the smallest `other` counts, then that with the smallest value. Ranks below
    0 are pairs of earlier outputs, which no rule may drop; they are left out.
    """
    found = [table.select(DROPS.names).cast(DROPS) for table in tables]
    if not found:
        return DROPS.empty_table()
    table = pa.concat_tables(found)
    rank, other, value = (column_values(table, name) for name in DROPS.names)
    order = np.lexsort((value, other, rank))
    sorted_rank = rank[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = sorted_rank[1:] != sorted_rank[:-1]
    taken = order[first & (sorted_rank >= 0)]
    return pa.table([rank[taken], other[taken], value[taken]], schema=DROPS)


# Any: the column's type of number.
def column_values(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column of numbers without nulls as an array; a view where it lies in one piece."""
    column = table.column(name)
    return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()


def of_shard(drops: pa.Table, shard: int) -> pa.Table:
    """The drops of one shard, out of a table that is sorted by rank."""
    first, end = np.searchsorted(
        column_values(drops, "rank"), np.array([shard << ROW_BITS, (shard + 1) << ROW_BITS], np.int64)
    )
    return drops.slice(int(first), int(end - first))


def places(drops: pa.Table) -> npt.NDArray[np.int64]:
    """The rows in their shard that the drops of one shard name."""
    return column_values(drops, "rank").astype(np.int64) & np.int64(ROW_MASK)
