"""A corpus of which a rule sees only the pairs that have the scores it reads: the others neither count nor go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import Corpus, Partitions, Reduce, Rows, Select, Shared
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.source import ShardSource
from pipelines.curate.stored_scores import SCORED

T = TypeVar("T")


@dataclass(frozen=True)
class ScoredCorpus:
    """`corpus` without the pairs for which the column `flag` (of booleans) is false."""

    corpus: Corpus
    flag: str

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        """Drop what `fails` returns (DROPS) for each shard."""
        self.corpus.choose([*columns, self.flag], OnlyScored(fails, self.flag))

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        """Drop what `reduce` returns (DROPS) for the rows that `select` makes of all shards."""
        self.corpus.shuffle([*columns, self.flag], OnlyScored(select, self.flag), reduce)

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        """Sum small results over the shards."""
        return self.corpus.fold([*columns, self.flag], OnlyScored(measure, self.flag), add)

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        """Keep the tables that `reduce` returns."""
        scored = OnlyScored(select, self.flag)
        return self.corpus.collect([*columns, self.flag], scored, reduce, expected_bytes=expected_bytes)

    def most_rows(self, row_bytes: int) -> int | None:
        """How many rows of one key a `reduce` can be given."""
        return self.corpus.most_rows(row_bytes)

    def share(self, value: T) -> Shared[T]:
        """Put a value where every worker of a machine reads it."""
        return self.corpus.share(value)


@dataclass(frozen=True)
class OnlyScored(Generic[T]):
    """Calls `work` with the rows whose flag is true."""

    work: Callable[[Rows], T]
    flag: str

    def __call__(self, rows: Rows) -> T:
        mask = rows.table.column(self.flag)
        chosen = mask.to_numpy()
        table = rows.table.filter(mask).drop_columns([self.flag])
        return self.work(Rows(rows.shard, rows.name, rows.rows[chosen], table, rows.is_earlier))


@dataclass(frozen=True)
class DropUnscored:
    """A rule's `decide` that drops the pairs for which the column `flag` is false."""

    flag: str

    def __call__(self, corpus: Corpus) -> None:
        corpus.choose([self.flag], Unscored(self.flag))


@dataclass(frozen=True)
class Unscored:
    """A shard's pairs for which the column `flag` is false, as DROPS."""

    flag: str

    def __call__(self, rows: Rows) -> pa.Table:
        ranks = rows.ranks()[~rows.table.column(self.flag).to_numpy()]
        return dropped(ranks, np.full(len(ranks), np.nan))


@dataclass(frozen=True)
class WithFlags:
    """Earlier outputs, all of whose pairs have every score: another source with columns SCORED."""

    source: ShardSource

    @property
    def count(self) -> int:
        """The number of shards."""
        return self.source.count

    def name(self, shard: int) -> str:
        """The shard's name."""
        return self.source.name(shard)

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.source.rows(shard)

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows of a shard."""
        table = self.source.load(shard, [name for name in columns if not name.startswith(SCORED)])
        flag = pa.array(np.ones(self.rows(shard), np.bool_))
        return pa.table({name: flag if name.startswith(SCORED) else table.column(name) for name in columns})

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each pair counts."""
        return self.source.passing(shard)
