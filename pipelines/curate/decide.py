"""Phase B: decides which pairs are kept, from the stored scores of a shard and the limits of the recipe. Pure.

Rules that need all shards at once (a caption that comes twice, rare words, images of an evaluation set) belong here
too: they read every sidecar after phase A and give each shard the rows to reject, before phase C starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_filters import judge
from data_filters.verdict import Drop
from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import Funnel, empty_funnel
from pipelines.curate.scan import Row


@dataclass(frozen=True)
class Rejected:
    """A rejected pair, with the verdict of the first filter that it fails."""

    row: Row
    drop: Drop


@dataclass(frozen=True)
class Decision:
    """The pairs of a shard that are kept and rejected, both in the shard's order, and their numbers."""

    kept: list[Row]
    rejected: list[Rejected]
    funnel: Funnel


def decide(pairs: Iterable[Row], quarantine: Iterable[Row], config: CurateConfig) -> Decision:
    """Judge every pair by every filter of the recipe; the first filter that it fails is the reason."""
    limits = config.limits()
    decision = Decision([], [], empty_funnel(config))
    funnel = decision.funnel
    for pair in pairs:
        row = dict(pair)
        funnel.pairs += 1
        drops: list[Drop] = []
        for counts in funnel.filters:
            counts.seen += not drops
            verdict = judge(counts.name, row, limits)
            if isinstance(verdict, Drop):
                counts.rejected += 1
                counts.rejected_in_order += not drops
                drops.append(verdict)
        if not drops:
            decision.kept.append(row)
            continue
        if len(drops) == 1:
            next(counts for counts in funnel.filters if counts.name == drops[0].reason).rejected_alone += 1
        decision.rejected.append(Rejected(row, drops[0]))
    for sample in quarantine:
        count = sample.get("count", 1)  # a damage of the tar stands for as many samples as it has cost
        if count:
            funnel.quarantine[sample["reason"]] = funnel.quarantine.get(sample["reason"], 0) + count
            funnel.estimated += count if sample.get("estimated") else 0
    funnel.quarantine = dict(sorted(funnel.quarantine.items()))
    funnel.quarantined = sum(funnel.quarantine.values())
    funnel.samples = funnel.pairs + funnel.quarantined
    funnel.kept = len(decision.kept)
    return decision
