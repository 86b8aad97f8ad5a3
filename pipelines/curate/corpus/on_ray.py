"""Runs rules over all shards on Ray Data: for as many rows as the cluster's disks hold.

`select` runs in a task for each group of shards. The object-store shuffle brings rows of a key together (a keyed
repartition; `key` is an integer whose bits are mixed already), `reduce` runs once on each whole partition, and a
second keyed repartition brings the drops to their groups of shards, where they are written to files. Lost workers are
tried again by Ray, lost objects computed again; where Ray gives up, the rule starts again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from pipelines.common.files import join
from pipelines.curate.corpus.corpus import Partitions, Reduce, Rows, Select
from pipelines.curate.corpus.counts import summed
from pipelines.curate.corpus.drop_files import DropFiles, remove_folder
from pipelines.curate.corpus.drops import of_shard
from pipelines.curate.corpus.engine import Decide
from pipelines.curate.corpus.object_store import InStore, ReduceToCell, TablesInStore, unpickled
from pipelines.curate.corpus.partitions import (
    Group,
    group_rows,
    group_shards,
    least_memory,
    partition_count,
    piece_bytes,
)
from pipelines.curate.corpus.population import Population
from pipelines.curate.corpus.ray_settings import WHOLE, data_context
from pipelines.curate.corpus.ray_stages import (
    COUNTS,
    GROUP,
    ChooseDrops,
    FoldRows,
    ReduceToDrops,
    SelectRows,
    WriteDrops,
)
from pipelines.curate.corpus.source import ShardSource
from pipelines.curate.corpus.stage_failure import Told, lost_in_stage, raise_own_failure, told_errors
from pipelines.curate.corpus.tries import ray_gave_up, try_again

T = TypeVar("T")

PILOT_GROUPS = 16  # of which a shard each is measured beforehand
DROP_BYTES = 40  # of a drop on its way to its group: rank, other, value, group, no counts, and a bit each


class OnRay:
    """The engine on a Ray that runs already (`running_ray`).

    `memory` are the bytes that a task may take beside what a worker takes by itself (about 100 MB); an exchange that
    would lie in the driver's memory at that takes what `least_memory` says. `scratch` is the URI of a folder
    that every node reaches, for the drops; the caller removes it.
    """

    def __init__(
        self, source: ShardSource, scratch: str, memory: int, earlier: ShardSource | None = None
    ) -> None:
        self.memory, self.scratch = memory, scratch
        rows = [source.rows(shard) for shard in range(source.count)]
        old = [earlier.rows(shard) for shard in range(earlier.count)] if earlier is not None else []
        self.rows = sum(rows) + sum(old)
        full = group_rows(self.rows, memory)
        groups = [*group_shards(rows, full), *group_shards(old, full, is_earlier=True)]
        self.population = Population(source, earlier, tuple(groups))
        self._counts: list[dict[str, int]] = []

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of shards, in their order."""
        return self.population.groups

    def run(self, decide: Decide) -> int:
        """Run the next rule and return its number, from 0."""
        rule = len(self.population.rules)

        def attempt(number: int) -> tuple[DropFiles, dict[str, int]]:
            corpus = _Corpus(self, self._folder(rule, number))
            try:
                decide(corpus)
            except Exception as error:
                raise_own_failure(error)
                raise
            files = corpus.dropped or DropFiles(corpus.folder, bytes(len(self.groups)))
            return files, corpus.counts

        files, counts = try_again(
            attempt,
            lambda number: remove_folder(self._folder(rule, number)),
            lambda error: ray_gave_up(error) or lost_in_stage(error),
        )
        self.population = replace(self.population, rules=(*self.population.rules, files))
        self._counts.append(counts)
        return rule

    def counts(self, rule: int) -> dict[str, int]:
        """What the `reduce` of a rule that has run counted, by name, summed over its calls."""
        return self._counts[rule]

    def drops(self, rule: int, shard: int) -> pa.Table:
        """What a rule that has run drops of a shard (DROPS), sorted by rank. Reads the file of its whole group."""
        group = int(np.searchsorted(self.population.firsts(), shard, side="right")) - 1
        return of_shard(self.population.rules[rule].read(group), shard)

    def _folder(self, rule: int, attempt: int) -> str:
        return join(self.scratch, f"rule-{rule:03}-{attempt}")


class _Corpus:
    """The population of one attempt at one rule."""

    def __init__(self, engine: OnRay, folder: str) -> None:
        self.engine = engine
        self.folder = folder
        self.population = engine.population
        self.dropped: DropFiles | None = None
        self.counts: dict[str, int] = {}

    def choose(self, columns: Sequence[str], fails: Select) -> None:
        """Drop what `fails` returns (DROPS) for each shard."""
        stage = ChooseDrops(self.population, tuple(columns), fails, self.folder)
        with data_context(self.engine.memory) as ray:
            self._dropped(_over(ray, self._groups(with_earlier=False)).map_batches(Told(stage), **WHOLE))

    def shuffle(self, columns: Sequence[str], select: Select, reduce: Reduce) -> None:
        """Drop what `reduce` returns (DROPS) for the rows that `select` makes of all shards."""
        stage = SelectRows(self.population, tuple(columns), select)
        size, most = self._rows_bytes(stage), self.engine.rows * DROP_BYTES
        memory = max(self.engine.memory, least_memory(max(size, most)))
        with data_context(memory) as ray:
            rows = self._exchanged(ray, stage, partition_count(size, memory))
            drops = rows.map_batches(Told(ReduceToDrops(self.population.firsts(), reduce)), **WHOLE)
            pieces = min(len(self._groups()), partition_count(most, memory))
            grouped = drops.repartition(pieces, keys=[GROUP])
            self._dropped(grouped.map_batches(Told(WriteDrops(self.folder)), **WHOLE))

    def fold(self, columns: Sequence[str], measure: Callable[[Rows], T], add: Callable[[T, T], T]) -> T:
        """Sum small results over the shards: within each task, then here as they come."""
        stage = FoldRows(self.population, tuple(columns), measure, add)
        with data_context(self.engine.memory) as ray:
            results = unpickled(_over(ray, self._groups()).map_batches(Told(stage), **WHOLE))
            total: T = next(results)
            for result in results:
                total = add(total, result)
        return total

    def collect(
        self, columns: Sequence[str], select: Select, reduce: Reduce, *, expected_bytes: int = 0
    ) -> Partitions:
        """Keep the tables that `reduce` returns in the object store."""
        stage = SelectRows(self.population, tuple(columns), select)
        size = max(self._rows_bytes(stage), expected_bytes)
        memory = max(self.engine.memory, least_memory(size))
        with data_context(memory) as ray:
            rows = self._exchanged(ray, stage, partition_count(size, memory))
            cells = rows.map_batches(Told(ReduceToCell(reduce)), **WHOLE)
            return TablesInStore(cells.materialize(), memory)

    def most_rows(self, row_bytes: int) -> int | None:
        """The rows that fill half a partition, so that one of any key fits in twice; None of a smaller corpus."""
        most = max(1, piece_bytes(self.engine.memory) // row_bytes // 2)
        return most if most < self.engine.rows else None

    def share(self, value: T) -> InStore[T]:
        """Put a value into the object store once."""
        import ray

        return InStore(ray.put(value))

    # Any: Ray Data's classes are known only where Ray is imported.
    def _exchanged(self, ray: Any, stage: SelectRows, pieces: int) -> Any:
        """A dataset of what a stage makes of all rows, cut into so many pieces, all rows of a key in one block."""
        return _over(ray, self._groups()).map_batches(Told(stage), **WHOLE).repartition(pieces, keys=["key"])

    def _rows_bytes(self, stage: SelectRows) -> float:
        """Estimate the bytes that a stage makes of all rows, from one shard of some groups."""
        import ray

        groups = self._groups()
        picked = groups[:: -(-len(groups) // PILOT_GROUPS)]
        size, rows = ray.get(ray.remote(_measured).remote(stage, picked))
        return float(size) / max(rows, 1) * self.engine.rows

    def _groups(self, *, with_earlier: bool = True) -> list[int]:
        groups = self.engine.groups
        return [number for number, group in enumerate(groups) if with_earlier or not group.is_earlier]

    def _dropped(self, written: Any) -> None:
        assert self.dropped is None, "a rule drops by one call of choose or shuffle"
        has_file = bytearray(len(self.engine.groups))
        counts: list[dict[str, int]] = []
        for block in written.iter_batches(batch_size=None, batch_format="pyarrow"):
            for row in block.to_pylist():
                if row[COUNTS] is not None:
                    counts.append(json.loads(row[COUNTS]))
                else:
                    has_file[row[GROUP]] = row["drops"] > 0
        self.counts = summed(counts)
        self.dropped = DropFiles(self.folder, bytes(has_file))


def _over(ray: Any, groups: Sequence[int]) -> Any:
    """A dataset with a block for each group."""
    return ray.data.from_items([{GROUP: group} for group in groups], override_num_blocks=len(groups))


def _measured(stage: SelectRows, groups: Sequence[int]) -> tuple[int, int]:
    """The bytes that a stage makes of the first shard with rows of each group, and the rows of these shards."""
    size = rows = 0
    with told_errors():
        for group in groups:
            source, cut = stage.population.source_of(group), stage.population.groups[group]
            filled = next((shard for shard in range(cut.first, cut.end) if source.rows(shard)), None)
            if filled is not None:
                size += stage.select(stage.population.standing_of(group, filled, stage.columns)).nbytes
                rows += source.rows(filled)
    return size, rows
