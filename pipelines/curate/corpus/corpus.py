"""What a rule over the whole corpus is given: the pairs that pass every earlier rule, and ways to go over them.

A rule is written once against `Corpus`, which runs in one process where the rows fit into memory and on Ray Data where
they do not, with equal results. A pair is named by its rank, an int64: the shard's number, in the order of the shards'
names, times 2^32, plus the row in the shard. A smaller rank is earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

T = TypeVar("T")
Value = TypeVar("Value", covariant=True)

DROPS = pa.schema([("rank", pa.int64()), ("other", pa.int64()), ("value", pa.float64())])
"""Pairs to drop: `other` is the rank of the pair on whose account (-1: none; below -1: one of an earlier output),
`value` the number that is compared with the rule's limit."""


@dataclass(frozen=True)
class Rows:
    """The pairs of one shard that pass every earlier rule, in the shard's order.

    `table` holds the columns that the rule asked for, a row for each; `rows` their int64 places in the shard. Pairs of
    an earlier output (`against`) are marked `is_earlier`: they count, and a rule may not drop them; their ranks are
    negative, below -1, and so come before all others.
    """

    shard: int
    name: str
    rows: npt.NDArray[np.int64]
    table: pa.Table
    is_earlier: bool = False

    def ranks(self) -> npt.NDArray[np.int64]:
        """The rank of every row."""
        ranks = (np.int64(self.shard) << np.int64(32)) | self.rows
        return ranks - np.int64(1 << 62) if self.is_earlier else ranks


Select = Callable[[Rows], pa.Table]
"""Rows of a shard → what takes part: a table with the column `key` (uint64, well mixed; rows of equal key meet) and any
others, `rank` among them."""
Reduce = Callable[[pa.Table], pa.Table]
"""All rows of some keys, in any order → a table. The result for a key may depend on neither order nor other keys."""


class Corpus(Protocol):
    """The population of a rule. `columns` are names of score columns, of whatever groups.

    `reduce` and the others are pickled to workers, and must be functions of a module or frozen dataclasses with
    `__call__`.
    """

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        """Drop what `fails` returns (DROPS) for each shard."""
        ...

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        """Drop what `reduce` returns (DROPS) for the rows that `select` makes of all shards, rows of a key together.

        A rank that is returned several times is dropped once, on account of the smallest `other`.
        """
        ...

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        """Sum small results over the shards; `add` is associative and commutative. There is one shard at least."""
        ...

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        """Like `shuffle`, but keep the tables that `reduce` returns, out of the driver's memory where on Ray.

        Some shards tell how many bytes `select` makes; `expected_bytes` is a lower bound where they may not be like
        the others.
        """
        ...

    def most_rows(self, row_bytes: int) -> int | None:
        """How many rows of one key, of so many bytes each, a `reduce` can be given; None where it can be given all."""
        ...

    def share(self, value: T) -> Shared[T]:
        """Put a large read-only value where every worker of a machine reads the same copy."""
        ...


class Partitions(Protocol):
    """Tables that lie where they were made, in no order."""

    def map(self, measure: Callable[[pa.Table], T]) -> list[T]:
        """A small result of each."""
        ...


class Shared(Protocol[Value]):
    """A value that was shared; it can be pickled cheaply."""

    def get(self) -> Value: ...
