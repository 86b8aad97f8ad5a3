"""The scores of an output as rules over the corpus read them: columns of one shard at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.common.files import read_parquet
from pipelines.curate.corpus.drops import places
from pipelines.curate.decide import pair_bits, pair_columns
from pipelines.curate.look.group import fault_column, stored_schema
from pipelines.curate.plan import Plan
from pipelines.curate.scores.facts import FACTS, FACTS_SCHEMA
from pipelines.curate.scores.storage import scores_uri


class Dropped(Protocol):
    """What rules over the corpus have dropped before."""

    def drops(self, name: str) -> Mapping[int, pa.Table]:
        """What each of them drops of a shard (DROPS)."""
        ...


@dataclass(frozen=True)
class ScoreFiles:
    """The scores of an output (`pipelines.curate.corpus.source.ShardSource`).

    Pairs pass that no rule over one pair fails, that `dropped` does not name, and whose image decodes where the plan
    looks at it.
    """

    output: str
    names: tuple[str, ...]
    row_counts: tuple[int, ...]
    plan: Plan
    dropped: Dropped | None = None

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self.names)

    def name(self, shard: int) -> str:
        """The shard's name."""
        return self.names[shard]

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.row_counts[shard]

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all pairs of a shard, from the files of their groups."""
        read: dict[str, pa.ChunkedArray] = {}
        for group, names in self._files(columns).items():
            table = read_parquet(scores_uri(self.output, group, self.names[shard]), names)
            assert table is not None  # phase A has written it
            read.update({name: table.column(name) for name in names})
        return pa.table({name: read[name] for name in columns})

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each pair passes."""
        faults = [fault_column(group) for group in self.plan.looks]
        table = self.load(shard, [*pair_columns(self.plan), *faults])
        passes: npt.NDArray[np.bool_] = pair_bits(table, self.plan) == 0
        for fault in faults:
            passes &= table.column(fault).is_null().to_numpy()
        if self.dropped is not None:
            for drops in self.dropped.drops(self.names[shard]).values():
                passes[places(drops)] = False
        return passes

    def _files(self, columns: Sequence[str]) -> dict[str, list[str]]:
        schemas = {
            FACTS: FACTS_SCHEMA,
            **{group.name: stored_schema(group) for group in (*self.plan.groups, *self.plan.looks)},
        }
        files: dict[str, list[str]] = {}
        for column in columns:
            group = next(name for name, schema in schemas.items() if column in schema.names)
            files.setdefault(group, []).append(column)
        return files
