"""Histograms of scores for the report: bars over an axis that is logarithmic where scores span much, and the limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.common.html.charts import BOTTOM, HEIGHT, TOP, WIDTH, Tick, charts
from pipelines.common.html.environment import render
from pipelines.common.html.numbers import nice_ticks, short
from pipelines.curate.histograms import NAN, Histograms, lower_edge
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.rules import CorpusRule

MOST_BARS = 48
SPAN = (
    20  # where the largest value of most pairs is more than this times the smallest, the axis is logarithmic
)
MOST = 0.98  # of the pairs: the few at both ends do not decide about the axis
MARGIN = 12  # px right of the axis
ZERO_WIDTH = 14  # px of the bar of zeros left of a logarithmic axis

Bin = tuple[float, float, int]
"""Lower and upper edge, and pairs."""


@dataclass(frozen=True)
class Limit:
    """A limit of a rule that compares a score."""

    rule: str
    value: float


@dataclass(frozen=True)
class Box:
    """A rectangle in px from the upper left corner, with what is said of it when the pointer rests on it."""

    left: float
    top: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Line:
    """A limit on the axis, its label at height `label`."""

    at: float
    label: float
    words: str
    is_right: bool
    """Whether the words stand right of the line."""


@dataclass(frozen=True)
class ScoreChart:
    """What the template draws."""

    title: str
    remark: str
    spoken: str
    bars: list[Box]
    ticks: list[Tick]
    lines: list[Line]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = MARGIN
    right: int = WIDTH - MARGIN
    floor: int = HEIGHT - BOTTOM


def score_section(histograms: Histograms, plan: Plan) -> Markup:
    """A chart for every score; empty where there is none."""
    limits = score_limits(plan)
    figures = [
        score_chart(name, bins, limits.get(name, ()), is_log=None) for name, bins in histograms.items()
    ]
    return charts([figure for figure in figures if figure])


def score_limits(plan: Plan) -> dict[str, list[Limit]]:
    """The limits that rules over one pair compare a score with, by its column.

    A rule with options names them in a method `score_limits`, column → limits.
    """
    limits: dict[str, list[Limit]] = {}
    for step in plan.steps:
        if isinstance(step.rule, LimitRule):
            found: Mapping[str, Sequence[float]] = {step.rule.filter.score: [step.rule.value]}
        elif isinstance(step.rule, CorpusRule):
            continue
        else:
            found = getattr(step.rule, "score_limits", dict)()
        for column, values in found.items():
            limits.setdefault(column, []).extend(Limit(step.name, value) for value in values)
    return limits


def score_chart(
    name: str, counts: Mapping[str, int], limits: Sequence[Limit] = (), *, is_log: bool | None = None
) -> Markup:
    """The chart of one score; empty without a finite value. `is_log`: None lets the values decide."""
    bins = bins_of(counts)
    if not bins:
        return Markup("")
    return render("pipelines.curate", "score_chart.html", chart=measured(name, counts, bins, limits, is_log))


def bins_of(counts: Mapping[str, int]) -> list[Bin]:
    """The bins of finite values by their edges, in order."""
    places = sorted((int(place), count) for place, count in counts.items() if place != NAN)
    bins = []
    for place, count in places:
        # A bin holds the numbers from its own edge away from zero up to the next one's.
        edges = (lower_edge(place), lower_edge(place + 1 if place >= 0 else place - 1))
        if all(map(math.isfinite, edges)):
            bins.append((min(edges), max(edges), count))
    return bins


def looks_logarithmic(bins: Sequence[Bin]) -> bool:
    """Whether values are too far apart for an even axis: none is below zero, and most span more than SPAN."""
    positive = [(low, high, count) for low, high, count in bins if low > 0]
    if not positive or bins[0][0] < 0:
        return False
    whole = sum(count for *_, count in positive)
    first = _quantile(positive, (1 - MOST) / 2 * whole)
    last = _quantile(positive, (1 + MOST) / 2 * whole)
    return last[1] > 1 and last[1] > SPAN * first[0]


def _quantile(bins: Sequence[Bin], pairs: float) -> Bin:
    seen = 0
    for one in bins:
        seen += one[2]
        if seen >= pairs:
            return one
    return bins[-1]


def measured(
    name: str, counts: Mapping[str, int], bins: Sequence[Bin], limits: Sequence[Limit], is_log: bool | None
) -> ScoreChart:
    """The chart with its values turned into px: areas are proportional to pairs."""
    is_log = looks_logarithmic(bins) if is_log is None else is_log
    zeros = sum(count for low, _, count in bins if low <= 0) if is_log else 0
    drawn = [one for one in bins if one[0] > 0] if is_log else list(bins)
    scale: Callable[[float], float] = math.log10 if is_log else float
    shown = [limit for limit in limits if limit.value > 0 or not is_log]
    edges = [edge for low, high, _ in drawn for edge in (low, high)] + [limit.value for limit in shown]
    first, last = (scale(min(edges)), scale(max(edges))) if edges else (0.0, 1.0)
    if first == last:
        first, last = first - 0.5, last + 0.5
    left = MARGIN + (ZERO_WIDTH + 6 if zeros else 0)

    def across(value: float) -> float:
        return left + (scale(value) - first) / (last - first) * (WIDTH - MARGIN - left)

    merged = merge(drawn, scale, (last - first) / MOST_BARS)
    heights = [count / (scale(high) - scale(low)) for low, high, count in merged]
    if zeros:
        heights.append(zeros / ((last - first) * ZERO_WIDTH / (WIDTH - MARGIN - left)))
    boxes = [
        _box(across(low), across(high), height / max(heights), f"{short(low)} to {short(high)}: {count:,}")
        for (low, high, count), height in zip(merged, heights, strict=False)
    ]
    if zeros:
        boxes.append(_box(MARGIN, MARGIN + ZERO_WIDTH, heights[-1] / max(heights), f"0: {zeros:,}"))
    pairs = sum(count for *_, count in bins)
    missing = counts.get(NAN, 0)
    remark = f"{pairs:,} pairs" + (f", {missing:,} more without a value" if missing else "")
    lines = [_line(across(limit.value), number, limit) for number, limit in enumerate(shown)]
    said = "; ".join(f"limit of {limit.rule} {short(limit.value)}" for limit in limits)
    return ScoreChart(
        title=name,
        remark=remark + (", logarithmic axis" if is_log else ""),
        spoken=f"{name}: {remark}, from {short(bins[0][0])} to {short(bins[-1][1])}" + (said and f"; {said}"),
        bars=boxes,
        ticks=_ticks(first, last, across, zeros > 0, is_log),
        lines=lines,
    )


def merge(bins: Sequence[Bin], scale: Callable[[float], float], least: float) -> list[Bin]:
    """Join neighbouring bins until each bar is `least` wide on the axis; a lone narrow bin is widened to that."""
    bars: list[Bin] = []
    for low, high, count in bins:
        if bars and scale(low) - scale(bars[-1][0]) < least * (1 - 1e-9):
            start, end, before = bars[-1]
            bars[-1] = (start, max(end, high), before + count)
        else:
            bars.append((low, high, count))
    widened = []
    for number, (low, high, count) in enumerate(bars):
        if scale(high) - scale(low) < least:
            high = 10 ** (scale(low) + least) if scale is math.log10 else low + least
        if number + 1 < len(bars):
            high = min(high, bars[number + 1][0])
        widened.append((low, high, count))
    return widened


def _box(left: float, right: float, part: float, words: str) -> Box:
    floor = HEIGHT - BOTTOM
    height = max(part * (floor - TOP), 1.0)  # a bar of few pairs can still be seen
    return Box(left, floor - height, max(right - left - 0.5, 0.5), height, words)


def _line(at: float, number: int, limit: Limit) -> Line:
    is_right = at < WIDTH / 2
    return Line(at, TOP + 10 + 14 * number, f"{limit.rule} {short(limit.value)}", is_right)


def _ticks(
    first: float, last: float, across: Callable[[float], float], has_zero: bool, is_log: bool
) -> list[Tick]:
    if not is_log:
        return [
            Tick(across(value), short(value)) for value in nice_ticks(first, last) if first <= value <= last
        ]
    powers = range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)
    factors = (1, 2, 5) if last - first < 1.6 else (1, 3) if last - first < 3 else (1,)
    step = max(1, -(-len(powers) // 6))
    values = [
        factor * 10.0**power
        for power in range(math.floor(first), math.floor(last) + 1)
        for factor in factors
        if power % step == 0
    ]
    ticks = [Tick(across(value), short(value)) for value in values if first <= math.log10(value) <= last]
    return ([Tick(MARGIN + ZERO_WIDTH / 2, "0")] if has_zero else []) + ticks
