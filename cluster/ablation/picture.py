"""The picture of an ablation: a panel per metric, a line per row in it, a dot per seed and a mark for the mean.

One SVG without script or outside parts; it follows the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.ablation.table import Column, Line, Table, as_texts, mean_and_spread
from pipelines.common.html.charts import Tick
from pipelines.common.html.environment import render
from pipelines.common.html.numbers import nice_ticks, short

PANEL = 250  # px, the axis of a panel
TITLES = 190  # px at least, the titles left of a row of panels
VALUES = 48  # px, the mean beside a line
PITCH, ABOVE, BELOW, MARGIN = 24, 34, 30, 16  # px
HEADER = 50  # px
ACROSS = 3  # panels side by side
LEFT_OUT = "cpu_seconds_per_step"  # the table has it
SEEDS = "Dots are seeds, the mark is their mean"
DASHED = "; dashed lines are chance and the grid\u2019s upper bound"
LETTER = 6.6  # px, the width of a letter of the titles on average, and a little more


@dataclass(frozen=True)
class Title:
    """The name of a line at the left end of a row of panels; baselines are indented and quiet."""

    text: str
    x: float
    y: float
    quiet: bool


@dataclass(frozen=True)
class Dot:
    """The value of one seed."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A line of a panel: its mean at `x`, its dots, and the number right of whatever reaches `furthest`."""

    kind: str
    top: float
    middle: float
    x: float
    furthest: float
    mean: float
    dots: list[Dot]


@dataclass(frozen=True)
class Panel:
    """A metric; its lines lie between `first` and `bottom`, its axis begins at `left`."""

    title: str
    left: float
    top: float
    first: float
    bottom: float
    ticks: list[Tick]
    yardsticks: list[Tick]
    marks: list[Mark]


@dataclass(frozen=True)
class Picture:
    """What the template draws. Coordinates are px from the upper left corner."""

    title: str
    legend: str
    spoken: str
    width: int
    height: int
    titles: list[Title]
    panels: list[Panel]
    margin: int = MARGIN
    pitch: int = PITCH


def draw_table(table: Table) -> str:
    """The SVG of a table; empty without lines or columns.

    Bars reach from zero to the mean; the grid's bound and chance are dashed lines.
    """
    head, _ = as_texts(table)
    named = zip(head[1:], table.columns, strict=True)
    columns = [(name, column) for name, column in named if column.metric != LEFT_OUT]
    lines = [line for line in table.lines if line.kind != "yardstick"]
    yardsticks = [line for line in table.lines if line.kind == "yardstick"]
    if not lines or not columns:
        return ""
    across = min(ACROSS, len(columns))
    height = ABOVE + PITCH * len(lines) + BELOW
    left = max(TITLES, *(MARGIN + 12 + math.ceil(LETTER * len(line.title)) for line in lines))
    titles: list[Title] = []
    panels: list[Panel] = []
    for number, (name, column) in enumerate(columns):
        down, along = divmod(number, across)
        top = HEADER + down * height
        if along == 0:
            titles += [_title(line, top + ABOVE + PITCH * place) for place, line in enumerate(lines)]
        panels.append(_panel(name, column, lines, yardsticks, left + along * (PANEL + VALUES), top))
    picture = Picture(
        title=table.title,
        legend=SEEDS + (DASHED if yardsticks else ""),
        spoken=_spoken(table),
        width=left + across * (PANEL + VALUES) + MARGIN,
        height=HEADER + math.ceil(len(columns) / across) * height + MARGIN,
        titles=titles,
        panels=panels,
    )
    return f"{render('cluster.ablation', 'picture.html', picture=picture)!s}\n"


def _title(line: Line, top: float) -> Title:
    is_row = line.kind == "row"
    return Title(line.title, MARGIN + (0 if is_row else 12), top + PITCH / 2 + 4, quiet=not is_row)


def _panel(
    name: str, column: Column, lines: Sequence[Line], yardsticks: Sequence[Line], left: float, top: float
) -> Panel:
    """The panel of one column with its upper left corner at (left, top); lines without the column stay empty."""
    values = [value for line in [*lines, *yardsticks] for value in line.values.get(column, {}).values()]
    ticks = nice_ticks(0.0, max(values, default=1.0) or 1.0)
    first = top + ABOVE

    def across(value: float) -> float:
        return left + value / ticks[-1] * PANEL

    return Panel(
        title=name,
        left=left,
        top=top,
        first=first,
        bottom=first + PITCH * len(lines),
        ticks=[Tick(across(tick), short(tick)) for tick in ticks],
        yardsticks=[_yardstick(line, column, across) for line in yardsticks if column in line.values],
        marks=[
            _mark(line, line.values[column], across, first + PITCH * place)
            for place, line in enumerate(lines)
            if column in line.values
        ],
    )


def _yardstick(line: Line, column: Column, across: Callable[[float], float]) -> Tick:
    mean, _ = mean_and_spread(list(line.values[column].values()))
    return Tick(across(mean), f"{line.title}: {short(mean)}")


def _mark(line: Line, values: dict[int, float], across: Callable[[float], float], top: float) -> Mark:
    """The mean of a line and the dots of its seeds, one below the other."""
    mean, _ = mean_and_spread(list(values.values()))
    x, middle = across(mean), top + PITCH / 2
    dots = []
    for place, (seed, value) in enumerate(sorted(values.items())):
        shift = (place - (len(values) - 1) / 2) * min(5.0, 12 / len(values))
        dots.append(Dot(across(value), middle + shift, f"seed {seed}: {short(value)}"))
    furthest = max(x, *map(across, values.values()))
    return Mark(line.kind, top, middle, x, furthest, mean, dots)


def _spoken(table: Table) -> str:
    """The first column of the picture in words, for readers who cannot see it."""
    head, rows = as_texts(table)
    scores = "; ".join(f"{row[0]} {row[1]}" for row in rows if row[1])
    return f"{table.title}: {head[1]}: {scores}"
