"""Small line charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.common.html.environment import part
from pipelines.common.html.numbers import nice_ticks, short, tick_labels

# Units of the viewBox are px where the chart is 320 px wide, as it is on a telephone: 12 px letters stay readable.
WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 50, 56, 24, 26
MOST_POINTS = 300

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A label on an axis and its place along it, in px."""

    at: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """What the template draws. Coordinates are px from the upper left corner."""

    title: str
    unit: str
    x_name: str
    spoken: str
    points: list[Point]
    last_value: str
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def line_chart(title: str, points: Sequence[Point], *, unit: str = "", x_name: str = "step") -> Markup:
    """A figure with one line through (x, y) points in order of x; the last value stands beside its end.

    `unit` stands over the vertical axis, which starts at zero unless all values are far above it. Points that are not
    finite are left out, and long series are thinned to `MOST_POINTS`. Empty without a finite point.
    """
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return Markup("")
    return part("chart.html", "line_chart", _measured(title, unit, x_name, thinned(finite, MOST_POINTS)))


def charts(figures: Sequence[Markup]) -> Markup:
    """Charts beside and below each other; empty without any."""
    return part("chart.html", "charts", figures)


def _measured(title: str, unit: str, x_name: str, points: list[Point]) -> LineChart:
    """The chart with its values turned into px."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low = min(ys) if min(ys) > 0.6 * max(ys) > 0 else min(0.0, *ys)
    ticks = nice_ticks(low, max(ys))
    low, high = min(low, ticks[0]), max(max(ys), ticks[-1])
    first, last = min(xs), max(xs)

    def across(x: float) -> float:
        part_of_width = (x - first) / (last - first) if last > first else 0.5
        return LEFT + part_of_width * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        part_of_height = (y - low) / (high - low) if high > low else 0.5
        return HEIGHT - BOTTOM - part_of_height * (HEIGHT - TOP - BOTTOM)

    return LineChart(
        title=title,
        unit=unit,
        x_name=x_name,
        spoken=f"{title}{f', {unit}' if unit else ''}: from {short(ys[0])} to {short(ys[-1])}",
        points=[(across(x), down(y)) for x, y in points],
        last_value=short(ys[-1]),
        y_ticks=[Tick(down(tick), label) for tick, label in zip(ticks, tick_labels(ticks), strict=True)],
        x_ticks=[Tick(across(x), short(x)) for x in nice_ticks(first, last) if first <= x <= last],
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points that draw the same line: of each stretch the lowest and the highest, and both ends."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for number in range(stretches):
        stretch = range(len(points) * number // stretches, len(points) * (number + 1) // stretches)
        kept |= {
            min(stretch, key=lambda place: points[place][1]),
            max(stretch, key=lambda place: points[place][1]),
        }
    return [points[place] for place in sorted(kept)]
