"""Computes the groups of a shard, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from data_filters.facts import Facts
from pipelines.curate.scores.group import Group

BATCH = 1024  # pairs that a group is given together, at most


class Measured:
    """Collects the scores of some groups for pairs that come one after another.

    `seconds`: what each group took, by name.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self._batches: dict[str, list[pa.RecordBatch]] = {group.name: [] for group in groups}
        self._pairs: list[Facts] = []
        self.seconds = {group.name: 0.0 for group in groups}

    def add(self, pair: Facts) -> None:
        """Take in a pair."""
        if self.groups:
            self._pairs.append(pair)
            if len(self._pairs) >= BATCH:
                self.end_batch()

    def end_batch(self) -> None:
        """Compute the scores of the pairs that wait, and let go of their bytes."""
        if self._pairs:
            for group in self.groups:
                started = time.perf_counter()
                self._batches[group.name].append(group.measure(self._pairs))
                self.seconds[group.name] += time.perf_counter() - started
            self._pairs = []

    def tables(self) -> dict[str, pa.Table]:
        """The scores of all pairs, by group."""
        self.end_batch()
        return {
            group.name: pa.Table.from_batches(self._batches[group.name], group.schema())
            for group in self.groups
        }
