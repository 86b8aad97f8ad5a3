"""The ratio of two rates that were measured in pairs, with its 95% interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

# Student's t, two-sided 95%, for 1, 2, ... degrees of freedom.
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
MOST_PAIRS = len(T95) + 1


class Ratio(NamedTuple):
    """A ratio, and the ends of its 95% interval."""

    ratio: float
    low: float
    high: float


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """The geometric mean of `above[i] / below[i]`, with the 95% interval by Student's t on the logarithms.

    Each pair was measured together, so that what slows the machine slows both and leaves their ratio. Raises ValueError
    unless there are 2 to MOST_PAIRS pairs of numbers above 0.
    """
    pairs = len(above)
    if pairs != len(below) or not 2 <= pairs <= MOST_PAIRS or min(*above, *below) <= 0:
        raise ValueError(
            f"above has {pairs} numbers and below {len(below)}; allowed are 2 to {MOST_PAIRS} pairs, all above 0"
        )
    logs = [math.log(one / other) for one, other in zip(above, below, strict=True)]
    middle = statistics.fmean(logs)
    half = T95[pairs - 2] * statistics.stdev(logs) / math.sqrt(pairs)
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half))
