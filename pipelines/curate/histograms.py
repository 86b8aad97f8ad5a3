"""Histograms of scores that can be summed over shards without knowing the range: by the first bits of a number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from pipelines.curate.plan import Plan
from pipelines.curate.scores.storage import Scores

SHIFT = 52 - 3  # 3 bits of the mantissa: a bin is at most an eighth wider than its lower edge
NAN = "nan"

Histograms = dict[str, dict[str, int]]
"""Score → bin (`bin_of`, as text) → pairs."""


def histograms(scores: Scores, plan: Plan) -> Histograms:
    """Count the pairs of a shard by the scores that rules compare, as far as these are numbers."""
    names = dict.fromkeys(name for step in plan.steps for name in step.rule.columns())
    table = scores.columns(names)
    found: Histograms = {}
    for name in names:
        column = table.column(name)
        if pt.is_floating(column.type) or pt.is_integer(column.type):
            values = column.cast(pa.float64()).to_numpy()
            bins, counts = np.unique(bin_of(values[~np.isnan(values)]), return_counts=True)
            found[name] = {
                str(place): count for place, count in zip(bins.tolist(), counts.tolist(), strict=True)
            }
            missing = int(np.isnan(values).sum())
            if missing:
                found[name][NAN] = missing
    return found


def bin_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bin of each number: its sign, exponent and SHIFT mantissa bits, so that bins are ordered as numbers are."""
    bits = (values + 0.0).view(np.int64)  # + 0.0 makes -0 to 0
    magnitude = (bits & np.int64(0x7FFF_FFFF_FFFF_FFFF)) >> SHIFT
    return np.where(bits < 0, -magnitude - 1, magnitude)


def lower_edge(place: int) -> float:
    """The smallest number of a bin for positive ones, the one nearest to zero for negative ones."""
    magnitude = np.int64(place if place >= 0 else -place - 1) << SHIFT
    edge = float(np.array([magnitude], np.int64).view(np.float64)[0])
    return edge if place >= 0 else -edge


def add_histograms(parts: Iterable[Histograms]) -> Histograms:
    """Sum histograms."""
    total: Histograms = {}
    for part in parts:
        for name, bins in part.items():
            of_score = total.setdefault(name, {})
            for place, count in bins.items():
                of_score[place] = of_score.get(place, 0) + count
    return {name: dict(sorted(bins.items())) for name, bins in sorted(total.items())}
