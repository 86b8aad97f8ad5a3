"""Columns of an Arrow table as numpy arrays; what is null becomes NaN or False."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """A column of numbers; null is NaN."""
    return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan), dtype=np.float64)


def booleans(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """A column of booleans; null is False."""
    return np.asarray(pc.fill_null(column, False), dtype=np.bool_)


def of_distinct(column: pa.ChunkedArray, judge: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
    """`judge` of each text of a column, called once for each distinct one; False where it is null."""
    whole = column.combine_chunks()
    coded = (whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole).dictionary_encode()
    verdicts = np.array([judge(text) for text in coded.dictionary.to_pylist()] + [False], dtype=np.bool_)
    places = np.asarray(pc.fill_null(coded.indices, len(verdicts) - 1), dtype=np.int64)
    return verdicts[places]


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """A column of texts."""
    found: list[str | None] = column.to_pylist()
    return found
