"""Paired differences of two rows over their common seeds, with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from cluster.ablation.table import Column, Line, Table, mean_and_spread


@dataclass(frozen=True)
class Difference:
    """Mean of the differences over `seeds` seeds; `reach` is half the width of its 95% interval, None for one seed."""

    mean: float
    reach: float | None
    seeds: int

    def __str__(self) -> str:
        if self.reach is None:
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} ± {self.reach:.3f}"


def difference(mine: dict[int, float], others: dict[int, float]) -> Difference | None:
    """The mean of `mine` - `others` over the seeds that both have, by Student's t; None without such a seed."""
    common = sorted(mine.keys() & others.keys())
    if not common:
        return None
    mean, spread = mean_and_spread([mine[seed] - others[seed] for seed in common])
    if spread is None:
        return Difference(mean, None, 1)
    quantile = float(stats.t.ppf(0.975, len(common) - 1))
    return Difference(mean, quantile * spread / math.sqrt(len(common)), len(common))


def differences(
    measured: Table, pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, dict[Column, Difference]]]:
    """("A less B", differences by column) of each pair (A, B) of rows of which both have a line.

    Lines below a row are compared with those of the same title below the other: "A less B, by phrases". Costs are left
    out: seconds of jobs side by side are no measurement of a difference.
    """
    lines: dict[tuple[str, str | None], Line] = {
        (line.row, None if line.kind == "row" else line.title): line for line in measured.lines
    }
    found = []
    for mine, other in pairs:
        for (row, title), line in lines.items():
            if row != mine or (other, title) not in lines:
                continue
            values = _between(measured.columns, line, lines[other, title])
            if values:
                names = f"{lines[mine, None].title} less {lines[other, None].title}"
                found.append((names if title is None else f"{names}, {title}", values))
    return found


def _between(columns: Sequence[Column], mine: Line, other: Line) -> dict[Column, Difference]:
    """The differences of two lines in the columns of tasks that both have."""
    return {
        column: between
        for column in columns
        if column.task and column in mine.values and column in other.values
        if (between := difference(mine.values[column], other.values[column]))
    }


def as_texts(
    measured: Table, head: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> tuple[list[str], list[list[str]]]:
    """(head, rows) of the differences as plain texts, in the columns of the table."""
    found = differences(measured, pairs)
    shown = [place for place, column in enumerate(measured.columns) if any(column in of for _, of in found)]
    rows = [
        [title, *(str(values.get(measured.columns[place], "")) for place in shown)] for title, values in found
    ]
    return [head[0], *(head[place + 1] for place in shown)], rows
