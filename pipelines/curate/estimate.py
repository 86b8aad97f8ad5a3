"""What a pilot of some raw shards tells of all: totals with 95% intervals.

Shards are clusters of pairs that are alike, so the variance is that between shards. Totals are ratio estimates: what a
shard holds per byte of its tar, times the bytes of all tars, which the listing says (Cochran, Sampling Techniques, 3rd
ed., 6.3 and 6.4, for the variance; 9A for clusters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipelines.common.html.numbers import short
from pipelines.curate.cost import WRITE, Cost
from pipelines.curate.pilot import PilotShard


class Interval(NamedTuple):
    """An estimate with the ends of its 95% interval, which are infinite where a single shard says nothing of others."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What a run over all raw shards would give.

    `kept`: pairs; `share`: of the pairs that can be read, 0 to 1; `bytes` of the curated tars; `core_seconds` of the
    work that is left to do, None where nothing was measured. `is_exact`: every shard was looked at.
    """

    shards: int
    pilot_shards: int
    is_exact: bool
    pairs: Interval
    kept: Interval
    share: Interval
    bytes: Interval
    core_seconds: float | None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The estimate in sentences for a terminal."""
        said = []
        if not self.is_exact:
            low, middle, high = (100 * value for value in self.share)
            said.append(
                f"of all {self.shards:,} shards, estimated from {self.pilot_shards}: about {middle:.1f}% of the pairs "
                f"stay (95% interval {low:.1f}% to {high:.1f}%), {_between(self.kept, '{:,.0f}')} pairs"
            )
        said.append(f"curated tars: {_between(self.bytes, '{:,.0f}')} bytes")
        if self.core_seconds is not None:
            said.append(
                f"work: about {short(self.core_seconds)} core-seconds; scores that are stored already cost nothing"
            )
        return [*said, *self.notes]


def _between(interval: Interval, form: str) -> str:
    """`about 5 (3 to 7)`, without the interval where it is empty."""
    low, middle, high = (form.format(value) for value in interval)
    return f"about {middle}" + ("" if low == high else f" ({low} to {high})")


def estimate(
    pilot: Sequence[PilotShard], sizes: Sequence[int], costs: Sequence[Cost], has_corpus_rules: bool
) -> Estimate:
    """Estimate from the shards of a pilot; `sizes` are the bytes of all raw shards, those of the pilot among them."""
    whole, count = float(sum(sizes)), len(sizes)
    size = [float(shard.size) for shard in pilot]
    pairs = ratio_total([shard.pairs for shard in pilot], size, whole, count)
    kept = ratio_total([shard.kept for shard in pilot], size, whole, count)
    seen, found = sum(shard.pairs for shard in pilot), sum(shard.kept for shard in pilot)
    share = ratio([float(shard.kept) for shard in pilot], [float(shard.pairs) for shard in pilot], count)
    is_exact = len(pilot) == count
    notes = []
    if not is_exact and has_corpus_rules:
        notes.append(
            f"rules over the corpus have seen the pairs of {len(pilot)} of {count} shards only: duplicates are "
            "underestimated, and the interval does not cover that"
        )
    return Estimate(
        shards=count,
        pilot_shards=len(pilot),
        is_exact=is_exact,
        pairs=pairs,
        kept=Interval(max(kept.low, float(found)), kept.middle, kept.high),
        share=Interval(max(share.low, 0.0), share.middle, min(share.high, 1.0)),
        bytes=ratio_total([shard.bytes for shard in pilot], size, whole, count),
        core_seconds=_core_seconds(costs, pairs.middle, seen, kept.middle, found),
        notes=tuple(notes),
    )


def ratio_total(values: Sequence[float], sizes: Sequence[float], whole: float, count: int) -> Interval:
    """The total of all `count` shards, whose sizes sum up to `whole`, from the values and sizes of some."""
    if not sum(sizes):
        return Interval(0.0, 0.0, math.inf if len(values) < count else 0.0)
    found = ratio(values, sizes, count, whole / count)
    return Interval(max(found.low * whole, float(sum(values))), found.middle * whole, found.high * whole)


def ratio(
    values: Sequence[float], sizes: Sequence[float], count: int, mean_size: float | None = None
) -> Interval:
    """Sum of values over sum of sizes for all `count` shards, from those of some drawn without replacement.

    `mean_size`: the mean of the sizes of all, where it is known.
    """
    drawn, size = len(values), sum(sizes)
    if not size:
        return Interval(0.0, 0.0, 0.0)
    middle = sum(values) / size
    if drawn == count:
        return Interval(middle, middle, middle)
    if drawn < 2:
        return Interval(0.0, middle, math.inf)
    residuals = sum((value - middle * one) ** 2 for value, one in zip(values, sizes, strict=True))
    variance = (1 - drawn / count) * residuals / (drawn - 1) / drawn / (mean_size or size / drawn) ** 2
    reach = t_975(drawn - 1) * math.sqrt(variance)
    return Interval(middle - reach, middle, middle + reach)


def t_975(freedom: int) -> float:
    """The 0.975 quantile of Student's t distribution with so many degrees of freedom, to 0.005.

    Cornish-Fisher expansion (Abramowitz and Stegun, 26.7.5); exact values where that does not reach.
    """
    if freedom <= 2:
        return (12.7062, 4.3027)[freedom - 1]
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _core_seconds(costs: Sequence[Cost], pairs: float, seen: int, kept: float, found: int) -> float | None:
    """The costs of the pilot, scaled from its pairs to all, and those of writing from its kept pairs."""
    if not costs or not seen:
        return None
    of_pairs = sum(cost.seconds for cost in costs if cost.part != WRITE) * pairs / seen
    of_kept = sum(cost.seconds for cost in costs if cost.part == WRITE) * (kept / found if found else 1.0)
    return of_pairs + of_kept
