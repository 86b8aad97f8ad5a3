"""Runs rules over all shards in this process: for as many rows as fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS, Partitions, Reduce, Rows, Select
from pipelines.curate.corpus.counts import counts_of, summed
from pipelines.curate.corpus.drops import first_drops, of_shard, places
from pipelines.curate.corpus.engine import Decide
from pipelines.curate.corpus.source import ShardSource, standing_rows

T = TypeVar("T")


class InProcess:
    """The engine of one process. `earlier` are the shards of earlier outputs, whose pairs count and are kept."""

    def __init__(self, source: ShardSource, earlier: ShardSource | None = None) -> None:
        self.source = source
        self.earlier = earlier
        self._rules: list[pa.Table] = []
        self._counts: list[dict[str, int]] = []

    def run(self, decide: Decide) -> int:
        """Run the next rule and return its number, from 0."""
        corpus = _Corpus(self)
        decide(corpus)
        self._rules.append(corpus.dropped if corpus.dropped is not None else DROPS.empty_table())
        self._counts.append(corpus.counts)
        return len(self._rules) - 1

    def counts(self, rule: int) -> dict[str, int]:
        """What the `reduce` of a rule that has run counted, by name, summed over its calls."""
        return self._counts[rule]

    def drops(self, rule: int, shard: int) -> pa.Table:
        """What a rule that has run drops of a shard (DROPS), sorted by rank."""
        return of_shard(self._rules[rule], shard)

    def standing(self, columns: Sequence[str], *, with_earlier: bool = True) -> Iterator[Rows]:
        """The rows that no rule has dropped yet, shard after shard; those of earlier outputs first."""
        if self.earlier is not None and with_earlier:
            nothing = np.empty(0, np.int64)
            for shard in range(self.earlier.count):
                yield standing_rows(self.earlier, shard, columns, nothing, is_earlier=True)
        for shard in range(self.source.count):
            dropped = [places(self.drops(rule, shard)) for rule in range(len(self._rules))]
            yield standing_rows(
                self.source, shard, columns, np.concatenate([np.empty(0, np.int64), *dropped])
            )


class _Corpus:
    """The population of one rule."""

    def __init__(self, engine: InProcess) -> None:
        self.engine = engine
        self.dropped: pa.Table | None = None
        self.counts: dict[str, int] = {}

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        """Drop what `fails` returns (DROPS) for each shard."""
        self._drop(fails(rows) for rows in self.engine.standing(columns, with_earlier=False))

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        """Drop what `reduce` returns (DROPS) for the rows that `select` makes of all shards."""
        tables = self._reduced(columns, select, reduce)
        self._drop(tables)
        self.counts = summed(map(counts_of, tables))

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        """Sum small results over the shards."""
        results = (measure(rows) for rows in self.engine.standing(columns))
        total = next(results)
        for result in results:
            total = add(total, result)
        return total

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        """Keep the tables that `reduce` returns."""
        return TablesHere(self._reduced(columns, select, reduce))

    def most_rows(self, row_bytes: int) -> None:
        """None: all rows are in memory anyway."""

    def share(self, value: T) -> Here[T]:
        """Hand the value on: there is one process."""
        return Here(value)

    def _reduced(self, columns: Sequence[str], select: Select, reduce: Reduce) -> list[pa.Table]:
        table = pa.concat_tables(select(rows) for rows in self.engine.standing(columns))
        return [reduce(table.combine_chunks())] if table.num_rows else []

    def _drop(self, tables: Iterable[pa.Table]) -> None:
        assert self.dropped is None, "a rule drops by one call of choose or shuffle"
        self.dropped = first_drops(tables)


@dataclass(frozen=True)
class TablesHere:
    """Tables in this process."""

    tables: Sequence[pa.Table]

    def map(self, measure: Callable[[pa.Table], T]) -> list[T]:
        """A small result of each."""
        return [measure(table) for table in self.tables]


@dataclass(frozen=True)
class Here(Generic[T]):
    """A value in this process."""

    value: T

    def get(self) -> T:
        return self.value
