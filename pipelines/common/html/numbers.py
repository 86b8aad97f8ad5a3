"""Numbers as pages write them, and round numbers for axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def short(value: float) -> str:
    """A number with three significant digits at most below 1000: 12,345 · 123 · 4.85 · 1.2e-4."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}".replace("e-0", "e-")
    return f"{value:.3g}"


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Multiples of 1, 2 or 5 × a power of ten that span [low, high], around `about` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    count = math.ceil(high / step - 1e-9) - math.floor(low / step + 1e-9)
    return [step * (math.floor(low / step + 1e-9) + number) for number in range(count + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks, written with as many digits as tell them apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=0.0)
    decimals = -math.floor(math.log10(step) + 1e-9) if step > 0 else 0
    if 0 < decimals <= 4:
        return [f"{tick:.{decimals}f}" if tick else "0" for tick in ticks]
    return [short(tick) for tick in ticks]
