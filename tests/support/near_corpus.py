"""A corpus in one process for the tests of near duplicates: shards as tables, rows dropped by `fails` and `reduce`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.corpus import Partitions, Reduce, Rows, Select, Shared
from pipelines.curate.corpus.counts import counts_of

T = TypeVar("T")


@dataclass
class NearCorpus:
    """`drops[rank] = (other, value)` on account of the smallest `other`, and the sums of the counts.

    Rows of a shuffle are put into `partitions` by key, each partition in an order that `seed` decides. `most` is what
    `most_rows` answers.
    """

    shards: Sequence[pa.Table]
    earlier: Sequence[pa.Table] = ()
    partitions: int = 1
    seed: int | None = None
    most: int | None = None
    drops: dict[int, tuple[int, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    shuffled_bytes: int = 0

    def rows(self, columns: Sequence[str]) -> list[Rows]:
        """The rows of all shards, those of earlier outputs too."""
        made = []
        for tables, is_earlier in ((self.earlier, True), (self.shards, False)):
            for number, table in enumerate(tables):
                chosen = table.select(list(columns))
                made.append(
                    Rows(number, f"{number:05}", np.arange(len(table), dtype=np.int64), chosen, is_earlier)
                )
        if self.seed is not None:
            np.random.default_rng(self.seed).shuffle(made)  # type: ignore[arg-type]
        return made

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        for rows in self.rows(columns):
            self._drop(fails(rows))

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        for table in self._reduced(columns, select, reduce):
            self._drop(table)

    def most_rows(self, row_bytes: int) -> int | None:
        return self.most

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        return _Tables(self._reduced(columns, select, reduce))

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        results = [measure(rows) for rows in self.rows(columns)]
        total = results[0]
        for result in results[1:]:
            total = add(total, result)
        return total

    def share(self, value: T) -> Shared[T]:
        return _Here(value)

    def _reduced(self, columns: Sequence[str], select: Select, reduce: Reduce) -> list[pa.Table]:
        rows = pa.concat_tables([select(part) for part in self.rows(columns)])
        self.shuffled_bytes += rows.nbytes
        part = rows["key"].to_numpy() % np.uint64(self.partitions)
        tables = []
        for number in range(self.partitions):
            mine = rows.filter(pa.array(part == number)) if self.partitions > 1 else rows
            if self.seed is not None:
                mine = mine.take(np.random.default_rng(self.seed + number).permutation(len(mine)))
            tables.append(reduce(mine))
        return tables

    def _drop(self, drops: pa.Table) -> None:
        for name, count in counts_of(drops).items():
            self.counts[name] = self.counts.get(name, 0) + count
        for row in drops.sort_by([("other", "descending")]).to_pylist():
            before = self.drops.get(row["rank"])
            if before is None or row["other"] < before[0]:
                self.drops[row["rank"]] = (row["other"], row["value"])


@dataclass(frozen=True)
class _Tables:
    tables: list[pa.Table]

    def map(self, measure: Callable[[pa.Table], T]) -> list[T]:
        return [measure(table) for table in self.tables]


@dataclass(frozen=True)
class _Here:
    value: object

    def get(self) -> object:
        return self.value
