"""Outputs of earlier curations (`against`), whose kept pairs count as earlier in rules over the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.errors import InputError
from pipelines.common.config import hash_of
from pipelines.common.files import absolute
from pipelines.curate.look.group import AnyLook, stored_schema
from pipelines.curate.plan import Plan
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.storage import scores_of_unit
from pipelines.curate.status import read_decisions
from pipelines.shards.manifest import read_manifests

NUMBERS = 1 << 30  # the number of an earlier shard is this much below that of its rank, see `Rows.ranks`


@dataclass(frozen=True)
class EarlierOutputs:
    """The shards of several outputs, one output after the other (`pipelines.curate.corpus.source.ShardSource`).

    `shards`: (output, name) of each raw shard; `row_counts`: its pairs; `kept`: what says which of them are kept.
    """

    shards: tuple[tuple[str, str], ...]
    row_counts: tuple[int, ...]
    kept: tuple[str, ...]
    plan: Plan

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self.shards)

    def name(self, shard: int) -> str:
        """The shard's output and name."""
        output, name = self.shards[shard]
        return f"{output}/{name}"

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.row_counts[shard]

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all pairs of a shard. Raises InputError where its output holds no such scores."""
        output, name = self.shards[shard]
        groups: list[Group | AnyLook] = [*self.plan.groups, *self.plan.looks]
        needed = [group for group in groups if not set(columns).isdisjoint(stored_schema(group).names)]
        tables = scores_of_unit(name, needed, output)
        found = {column: table.column(column) for table in tables for column in table.column_names}
        missing = [column for column in columns if column not in found]
        if missing:
            raise InputError(
                f"against: {output} holds no scores {', '.join(missing)} of {name} that this recipe could use; bring "
                f"it up to date with `loupe curate RECIPE --update`, with a recipe that has the same rules"
            )
        return pa.table({column: found[column] for column in columns})

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each pair is kept there."""
        output, name = self.shards[shard]
        kept: npt.NDArray[np.bool_] = read_decisions(output, name) == 0
        return kept

    @cached_property
    def key(self) -> str:
        """What a decision depends on: the shards and the pairs that are kept of them."""
        return hash_of({"shards": [list(shard) for shard in self.shards], "kept": list(self.kept)})


def earlier_outputs(uris: Sequence[str], plan: Plan) -> EarlierOutputs | None:
    """Find the shards of earlier outputs; None where there are none.

    Raises InputError when one is no output of `loupe curate`, or lacks the scores that the recipe's rules read.
    """
    shards: list[tuple[str, str]] = []
    rows: list[int] = []
    kept: list[str] = []
    firsts: list[int] = []  # a shard of each output
    for uri in uris:
        output = absolute(uri)
        manifests = read_manifests(output)
        found = [(part, manifest) for manifest in manifests.values() for part in manifest.get("inputs", ())]
        if not found:
            raise InputError(
                f"against: {uri} is no output of `loupe curate` with scores; give the folder of one, or take it "
                "off the list"
            )
        firsts.append(len(shards))
        for part, manifest in sorted(found, key=lambda one: str(one[0]["name"])):
            shards.append((output, part["name"]))
            rows.append(int(part["rows"]))
            kept.append(str(manifest["kept"]))
    if not shards:
        return None
    outputs = EarlierOutputs(tuple(shards), tuple(rows), tuple(kept), plan)
    for shard in firsts:
        outputs.load(shard, _read_by_rules(plan))
    return outputs


def _read_by_rules(plan: Plan) -> list[str]:
    """The columns that the rules over the corpus read, as far as they say."""
    names = ["key"]
    for rule in plan.corpus_steps().values():
        names += rule.columns()
        for group in rule.groups():
            names += group.schema().names
    return list(dict.fromkeys(names))
