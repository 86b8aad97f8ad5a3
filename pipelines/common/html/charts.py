"""Small line charts as inline SVG: no script, nothing fetched, colours from the page's variables."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import pairwise

# Units of the viewBox are px where the chart is 320 px wide, as it is on a telephone: 12 px letters stay readable.
WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 50, 56, 24, 26
MOST_POINTS = 300

Point = tuple[float, float]


def line_chart(title: str, points: Sequence[Point], *, unit: str = "", x_name: str = "step") -> str:
    """A figure with one line through (x, y) points in order of x; the last value stands beside its end.

    `unit` stands over the vertical axis, which starts at zero unless the values keep far from it. Points that are not
    finite are left out, and of very many those that do not show (`thinned`).
    """
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return ""
    points = thinned(points, MOST_POINTS)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low = min(ys) if min(ys) > 0.6 * max(ys) > 0 else min(0.0, *ys)
    ticks = nice_ticks(low, max(ys))
    low, high = min(low, ticks[0]), max(max(ys), ticks[-1])
    first, last = min(xs), max(xs)

    def place(x: float, y: float) -> Point:
        across = (x - first) / (last - first) if last > first else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    grid = ""
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        _, y = place(first, tick)
        grid += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        grid += f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    floor = HEIGHT - BOTTOM
    for tick in (x for x in nice_ticks(first, last) if first <= x <= last):
        x, _ = place(tick, low)
        grid += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>'
        grid += f'<text x="{x:.1f}" y="{floor + 17}" text-anchor="middle">{short(tick)}</text>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    end_x, end_y = place(*points[-1])
    name = html.escape(title)
    spoken = f"{name}{f', {html.escape(unit)}' if unit else ''}: from {short(ys[0])} to {short(ys[-1])}"
    return (
        f'<figure class="chart"><figcaption>{name}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{spoken}">{grid}'
        f'<polyline class="line" points="{path}"/><circle class="end" cx="{end_x:.1f}" cy="{end_y:.1f}" r="3"/>'
        f'<text class="value" x="{end_x + 6:.1f}" y="{end_y + 4:.1f}">{short(ys[-1])}</text>'
        f'<text x="2" y="12">{html.escape(unit)}</text>'
        f'<text x="{WIDTH - 2}" y="{floor + 17}" text-anchor="end">{html.escape(x_name)}</text>'
        "</svg></figure>"
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points that draw the same line: of each stretch the lowest and the highest, and both ends."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for number in range(stretches):
        own = range(len(points) * number // stretches, len(points) * (number + 1) // stretches)
        kept |= {min(own, key=lambda at: points[at][1]), max(own, key=lambda at: points[at][1])}
    return [points[at] for at in sorted(kept)]


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
    """The ticks with as many digits as tell them apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=0.0)
    decimals = -math.floor(math.log10(step) + 1e-9) if step > 0 else 0
    if 0 < decimals <= 4:
        return [f"{tick:.{decimals}f}" if tick else "0" for tick in ticks]
    return [short(tick) for tick in ticks]


def short(value: float) -> str:
    """A number in few signs: 12,345 · 123 · 4.85 · 0.00012."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}".replace("e-0", "e-")
    return f"{value:.3g}"
