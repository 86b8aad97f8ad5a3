"""Phase B: who stays. Pure: the stored scores of a shard against the limits of the recipe.

Rules that need all shards at once (a caption that comes twice, rare words, images of an evaluation set) belong here
too: they read every sidecar after phase A and hand each shard the rows that must go, before phase C starts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_filters import get_filter, judge
from data_filters.verdict import Drop
from pipelines.curate.config import CurateConfig


@dataclass
class FilterCounts:
    """One filter's part in a run, in pairs.

    `seen`: reached it in order. `rejected_in_order`: stopped here, having passed all before. `rejected`: fail it,
    whatever the others say. `rejected_alone`: fail it and no other, so they would stay if it were switched off.
    """

    name: str
    score: str
    limit_name: str
    limit: float
    seen: int = 0
    rejected: int = 0
    rejected_alone: int = 0
    rejected_in_order: int = 0


@dataclass
class Funnel:
    """Samples from the raw shards to the curated ones."""

    samples: int = 0  # found in the shards
    quarantined: int = 0  # could not be read
    pairs: int = 0  # could be read
    kept: int = 0
    filters: list[FilterCounts] = field(default_factory=list)
    quarantine: dict[str, int] = field(default_factory=dict)  # reason → count


@dataclass(frozen=True)
class Rejected:
    """A pair that goes, with the first filter that stopped it."""

    row: dict[str, Any]
    drop: Drop


@dataclass(frozen=True)
class Decision:
    """What becomes of a shard's pairs."""

    kept: list[dict[str, Any]]
    rejected: list[Rejected]
    funnel: Funnel


def decide(
    pairs: Iterable[Mapping[str, Any]], quarantine: Iterable[Mapping[str, Any]], config: CurateConfig
) -> Decision:
    """Judge every pair by every filter of the recipe; the first filter that it fails is the reason."""
    limits = config.limits()
    counts = [
        FilterCounts(
            name, get_filter(name).score, get_filter(name).limit_name, limits[get_filter(name).limit_name]
        )
        for name in config.filters
    ]
    decision = Decision([], [], Funnel(filters=counts))
    funnel = decision.funnel
    for pair in pairs:
        row = dict(pair)
        funnel.pairs += 1
        drops: list[Drop] = []
        for count in counts:
            count.seen += not drops
            verdict = judge(count.name, row, limits)
            if isinstance(verdict, Drop):
                count.rejected += 1
                count.rejected_in_order += not drops
                drops.append(verdict)
        if not drops:
            decision.kept.append(row)
            continue
        if len(drops) == 1:
            next(count for count in counts if count.name == drops[0].reason).rejected_alone += 1
        decision.rejected.append(Rejected(row, drops[0]))
    for bad in quarantine:
        funnel.quarantine[bad["reason"]] = funnel.quarantine.get(bad["reason"], 0) + 1
    funnel.quarantine = dict(sorted(funnel.quarantine.items()))
    funnel.quarantined = sum(funnel.quarantine.values())
    funnel.samples = funnel.pairs + funnel.quarantined
    funnel.kept = len(decision.kept)
    return decision


def add_funnels(funnels: Iterable[Funnel], config: CurateConfig) -> Funnel:
    """The sum over shards."""
    total = decide([], [], config).funnel
    for funnel in funnels:
        for name in ("samples", "quarantined", "pairs", "kept"):
            setattr(total, name, getattr(total, name) + getattr(funnel, name))
        for mine, theirs in zip(total.filters, funnel.filters, strict=True):
            for name in ("seen", "rejected", "rejected_alone", "rejected_in_order"):
                setattr(mine, name, getattr(mine, name) + getattr(theirs, name))
        for reason, number in funnel.quarantine.items():
            total.quarantine[reason] = total.quarantine.get(reason, 0) + number
    total.quarantine = dict(sorted(total.quarantine.items()))
    return total


def funnel_from_json(data: Mapping[str, Any]) -> Funnel:
    """The inverse of `dataclasses.asdict`."""
    return Funnel(**{**data, "filters": [FilterCounts(**one) for one in data["filters"]]})
