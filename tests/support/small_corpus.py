"""A corpus of a few tables in memory, on which tests run rules; order and partitions are drawn anew at every step.

Every function that a rule hands in goes through pickle, as it does on Ray, and a rule that drops what it may not drop
fails here.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS, Corpus, Partitions, Reduce, Rows, Select, Shared

T = TypeVar("T")


@dataclass(frozen=True)
class SmallShared:
    """A value that all workers read. It is read-only, as what lies in an object store is."""

    value: Any

    def get(self) -> Any:
        return self.value


@dataclass(frozen=True)
class SmallPartitions:
    """The tables that `collect` keeps."""

    tables: Sequence[pa.Table]

    def map(self, measure: Callable[[pa.Table], T]) -> list[T]:
        measure = pickle.loads(pickle.dumps(measure))
        return [measure(table) for table in self.tables]


@dataclass
class SmallCorpus:
    """Shards by name (name → table of scores), numbered in the order of their names, and those of earlier outputs.

    `rows` are the places of each shard's rows in it (0, 1, ... where not given). With a `seed`, shards come in any
    order, their rows go to up to `partitions` partitions (some empty) by their keys, shuffled inside, and small
    results are added up in any order. `most` is what `most_rows` answers; `most_met` the largest number of rows of one
    key that a `reduce` was given. `drops` maps the rank of a dropped pair to (other, value).
    """

    shards: Mapping[str, pa.Table]
    earlier: Mapping[str, pa.Table] = field(default_factory=dict)
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    partitions: int = 1
    seed: int | None = None
    most: int | None = None
    drops: dict[int, tuple[int, float]] = field(default_factory=dict)
    most_met: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        mine = [rows for rows in self.population([]) if not rows.is_earlier]
        self._may_be_dropped = {rank for rows in mine for rank in rows.ranks().tolist()}

    def population(self, columns: Sequence[str] | None = None) -> list[Rows]:
        """All shards' rows, earlier outputs first; `columns` of them, or all."""
        made: list[Rows] = []
        for is_earlier, shards in ((True, self.earlier), (False, self.shards)):
            for number, name in enumerate(sorted(shards)):
                table = shards[name]
                places = np.asarray(self.rows.get(name, range(table.num_rows)), dtype=np.int64)
                chosen = table if columns is None else table.select(list(columns))
                made.append(Rows(number, name, places, chosen, is_earlier))
        return made

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        fails = pickle.loads(pickle.dumps(fails))
        for rows in self._in_any_order(columns):
            drops = fails(rows)
            mine = set(rows.ranks().tolist())
            assert set(drops["rank"].to_pylist()) <= mine, "a shard's pairs are dropped by another shard"
            self._record(drops)

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        for table in self._reduced(columns, select, reduce):
            self._record(table)

    def most_rows(self, row_bytes: int) -> int | None:
        return self.most

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        measure, add = pickle.loads(pickle.dumps((measure, add)))
        results = [measure(rows) for rows in self._in_any_order(columns)]
        while len(results) > 1:
            first, second = (results.pop(self._index(len(results))) for _ in range(2))
            results.append(add(first, second))
        return results[0]

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        return SmallPartitions(self._reduced(columns, select, reduce))

    def share(self, value: T) -> Shared[T]:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        return SmallShared(value)

    def _reduced(self, columns: Sequence[str], select: Select, reduce: Reduce) -> list[pa.Table]:
        select, reduce = pickle.loads(pickle.dumps((select, reduce)))
        selected = pa.concat_tables([select(rows) for rows in self._in_any_order(columns)])
        keys = selected["key"].to_numpy()
        assert keys.dtype == np.uint64
        salt = np.uint64(0 if self.seed is None else self._random.integers(1 << 63))
        self.most_met = max(self.most_met, *np.unique(keys, return_counts=True)[1].tolist(), 0)
        place = (keys ^ salt) % np.uint64(self.partitions)
        parts = [selected.take(self._shuffled(place == number)) for number in range(self.partitions)]
        # An engine may reduce an empty partition, or leave it out.
        return [reduce(part) for part in parts if part.num_rows or self._index(2)]

    def _record(self, drops: pa.Table) -> None:
        assert drops.schema.equals(DROPS), drops.schema
        for rank, other, value in zip(*(drops[name].to_pylist() for name in DROPS.names), strict=True):
            assert rank in self._may_be_dropped, f"rank {rank} may not be dropped"
            before = self.drops.get(rank)
            if before is None or other < before[0]:
                self.drops[rank] = (other, value)

    def _in_any_order(self, columns: Sequence[str]) -> list[Rows]:
        population = self.population(columns)
        if self.seed is None:
            return population
        return [population[index] for index in self._random.permutation(len(population))]

    def _shuffled(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        places = np.flatnonzero(chosen)
        return places if self.seed is None else self._random.permutation(places)

    def _index(self, length: int) -> int:
        return 0 if self.seed is None else int(self._random.integers(length))

    def as_corpus(self) -> Corpus:
        """Itself; the type checker proves here that it is a corpus."""
        return self
