"""The pairs that a rule on Ray goes over: all shards, cut into groups, less what earlier rules dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.drop_files import DropFiles
from pipelines.curate.corpus.drops import of_shard, places
from pipelines.curate.corpus.partitions import Group
from pipelines.curate.corpus.source import ShardSource, standing_rows


@dataclass(frozen=True)
class Population:
    """All shards in their groups, and the drops of the rules that have run."""

    source: ShardSource
    earlier: ShardSource | None
    groups: tuple[Group, ...]
    rules: tuple[DropFiles, ...] = ()

    def standing(self, group: int, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of a group's shards that no rule has dropped yet, shard after shard."""
        dropped = self.drops(group)
        for shard in range(self.groups[group].first, self.groups[group].end):
            yield self._standing(group, shard, columns, dropped)

    def standing_of(self, group: int, shard: int, columns: Sequence[str]) -> Rows:
        """The rows of one shard of a group that no rule has dropped yet."""
        return self._standing(group, shard, columns, self.drops(group))

    def source_of(self, group: int) -> ShardSource:
        """Where a group's shards are read from."""
        source = self.earlier if self.groups[group].is_earlier else self.source
        assert source is not None
        return source

    def firsts(self) -> npt.NDArray[np.int64]:
        """The first shard of each group of the source."""
        return np.array([group.first for group in self.groups if not group.is_earlier], np.int64)

    def drops(self, group: int) -> list[pa.Table]:
        """What each rule that has run drops of a group (DROPS), sorted by rank; `of_shard` gives a shard's part."""
        return [] if self.groups[group].is_earlier else [rule.read(group) for rule in self.rules]

    def _standing(self, group: int, shard: int, columns: Sequence[str], dropped: list[pa.Table]) -> Rows:
        gone = np.concatenate([np.empty(0, np.int64), *(places(of_shard(drops, shard)) for drops in dropped)])
        is_earlier = self.groups[group].is_earlier
        return standing_rows(self.source_of(group), shard, columns, gone, is_earlier=is_earlier)
