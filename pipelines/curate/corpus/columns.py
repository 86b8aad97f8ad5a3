"""Score columns as numpy arrays, without a copy where Arrow allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_filters.mixing import Hashes


def halves(column: pa.ChunkedArray) -> tuple[Hashes, Hashes]:
    """The two 64-bit halves of a column of fixed_size_binary(16), of which neither is null."""
    parts = [_two_halves(chunk) for chunk in column.chunks]
    both = np.concatenate([np.empty((0, 2), dtype=np.uint64), *parts])
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _two_halves(chunk: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint64]:
    values = np.frombuffer(chunk.buffers()[1], dtype="<u8", count=2 * len(chunk), offset=16 * chunk.offset)
    return values.astype(np.uint64, copy=False).reshape(-1, 2)


# Any: the type of the values is the column's own.
def lists(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The values of all lists one after another, and the length of each; a null has none."""
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return pc.list_flatten(column).to_numpy(), lengths.to_numpy().astype(np.int64)


def run_starts(table: pa.Table, *prefixes: str) -> npt.NDArray[np.intp]:
    """Where runs of equal rows start, as the columns with these prefixes tell them apart."""
    differs = np.zeros(table.num_rows, dtype=np.bool_)
    differs[:1] = True
    for name in table.column_names:
        if name.startswith(prefixes):
            values = table[name].to_numpy()
            differs[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(differs)
