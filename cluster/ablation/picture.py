"""The picture of an ablation: one panel a metric, in it a line a row, on it a dot a seed and a mark for the mean.

One SVG without script or outside parts; it follows the reader's light or dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from cluster.ablation.table import Column, Line, Table, as_texts, mean_and_spread
from pipelines.common.html.charts import nice_ticks, short

PANEL, TITLES, VALUES = (
    250,
    190,
    48,
)  # px: a panel's axis, the titles left of a row of panels, the mean beside a line
PITCH, ABOVE, BELOW, MARGIN = 24, 34, 30, 16
HEADER = 50
ACROSS = 3  # panels in a row
LEFT_OUT = "cpu_seconds_per_step"  # the table has it
SEEDS = "Dots are seeds, the mark is their mean"
LETTER = 6.6  # px, the width of a letter of the titles on average, and a little more
DASHED = "; dashed lines are chance and the grid\u2019s upper bound"

_STYLE = """
.abl{--ink:#1c1e21;--paper:#ffffff;--quiet:#646b75;--line:#e1e3e6;--accent:#2f5fd0;--plain:#8a919b}
@media(prefers-color-scheme:dark){.abl{--ink:#e8e9eb;--paper:#14161a;--quiet:#9aa3b0;--line:#31363e;--accent:#7ea2f5;
--plain:#7d8692}}
.abl text{font:12px system-ui,sans-serif;fill:var(--ink)}.abl .q{fill:var(--quiet)}.abl .h{font-weight:600}
.abl .g{stroke:var(--line)}.abl .b{fill:var(--accent);opacity:.22}.abl .m{stroke:var(--accent);stroke-width:2.5}
.abl .d{fill:var(--accent);stroke:var(--paper)}.abl .baseline .b{fill:var(--plain)}.abl .baseline .d{fill:var(--plain)}
.abl .baseline .m{stroke:var(--plain)}.abl .yard{stroke:var(--quiet);stroke-dasharray:3 3}.abl .p{fill:var(--paper)}
"""


def draw_table(table: Table) -> str:
    """The SVG. Bars from zero to the mean; the grid's bound and chance as dashed lines; empty without columns."""
    head, _ = as_texts(table)
    panels = [one for one in zip(head[1:], table.columns, strict=True) if one[1].metric != LEFT_OUT]
    lines = [line for line in table.lines if line.kind != "yardstick"]
    yardsticks = [line for line in table.lines if line.kind == "yardstick"]
    if not lines or not panels:
        return ""
    across = min(ACROSS, len(panels))
    height = ABOVE + PITCH * len(lines) + BELOW
    titles = max(TITLES, *(MARGIN + 12 + math.ceil(LETTER * len(line.title)) for line in lines))
    width = titles + across * (PANEL + VALUES) + MARGIN
    whole = HEADER + math.ceil(len(panels) / across) * height + MARGIN
    parts = [
        f'<svg class="abl" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" role="img" '
        f'aria-label="{html.escape(_spoken(table), quote=True)}"><style>{_STYLE}</style>'
        f'<rect class="p" width="{width}" height="{whole}"/>'
        f'<text class="h" x="{MARGIN}" y="22" style="font-size:15px">{html.escape(table.title)}</text>'
        f'<text class="q" x="{MARGIN}" y="40">{SEEDS}{DASHED if yardsticks else ""}</text>'
    ]
    for number, (name, column) in enumerate(panels):
        down, along = divmod(number, across)
        top = HEADER + down * height
        if along == 0:
            parts += [_title(line, top + ABOVE + PITCH * place) for place, line in enumerate(lines)]
        parts.append(_panel(name, column, lines, yardsticks, titles + along * (PANEL + VALUES), top))
    return "".join(parts) + "</svg>\n"


def _title(line: Line, y: float) -> str:
    indent, kind = (0, "") if line.kind == "row" else (12, ' class="q"')
    return f'<text{kind} x="{MARGIN + indent}" y="{y + PITCH / 2 + 4:.1f}">{html.escape(line.title)}</text>'


def _panel(
    name: str, column: Column, lines: Sequence[Line], yardsticks: Sequence[Line], left: float, top: float
) -> str:
    values = [value for line in [*lines, *yardsticks] for value in line.values.get(column, {}).values()]
    ticks = nice_ticks(0.0, max(values, default=1.0) or 1.0)
    first, bottom = top + ABOVE, top + ABOVE + PITCH * len(lines)

    def across(value: float) -> float:
        return left + value / ticks[-1] * PANEL

    parts = [f'<text class="h" x="{left}" y="{top + 20}">{html.escape(name)}</text>']
    for tick in ticks:
        x = across(tick)
        parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{first}" y2="{bottom}"/>')
        parts.append(
            f'<text class="q" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{short(tick)}</text>'
        )
    for yardstick in yardsticks:
        if column in yardstick.values:
            mean, _ = mean_and_spread(list(yardstick.values[column].values()))
            parts.append(
                f'<line class="yard" x1="{across(mean):.1f}" x2="{across(mean):.1f}" y1="{first}" y2="{bottom}">'
                f"<title>{html.escape(yardstick.title)}: {short(mean)}</title></line>"
            )
    for place, line in enumerate(lines):
        if column in line.values:
            parts.append(_marks(line, line.values[column], across, left, first + PITCH * place))
    return "".join(parts)


def _marks(line: Line, values: dict[int, float], across, left: float, y: float) -> str:  # type: ignore[no-untyped-def]
    """A bar and a mark for the mean, the mean as a number, and the seeds' dots, one below the other."""
    mean, _ = mean_and_spread(list(values.values()))
    x, middle = across(mean), y + PITCH / 2
    dots = ""
    for place, (seed, value) in enumerate(sorted(values.items())):
        shift = (place - (len(values) - 1) / 2) * min(5.0, 12 / len(values))
        dots += (
            f'<circle class="d" cx="{across(value):.1f}" cy="{middle + shift:.1f}" r="3">'
            f"<title>seed {seed}: {short(value)}</title></circle>"
        )
    furthest = max(x, *map(across, values.values()))
    return (
        f'<g class="{line.kind}"><rect class="b" x="{left}" y="{y + 4}" width="{x - left:.1f}" height="{PITCH - 8}"/>'
        f'<line class="m" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 3}" y2="{y + PITCH - 3}"/>{dots}'
        f'<text x="{furthest + 7:.1f}" y="{middle + 4:.1f}">{mean:.3f}</text></g>'
    )


def _spoken(table: Table) -> str:
    """The first column of the picture in words, for who cannot see it."""
    head, rows = as_texts(table)
    told = "; ".join(f"{row[0]} {row[1]}" for row in rows if row[1])
    return f"{table.title}: {head[1]}: {told}"
