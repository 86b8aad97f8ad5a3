"""Paired differences of two rows over their common seeds, with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.ablation.table import Column, Line, Table, mean_and_spread

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5% quantiles of Student's t with 1, 2, ... degrees of freedom; 1.96 beyond."""


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
    freedom = len(common) - 1
    quantile = T_975[freedom - 1] if freedom <= len(T_975) else 1.96
    return Difference(mean, quantile * spread / math.sqrt(len(common)), len(common))


def differences(
    measured: Table, pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, dict[Column, Difference]]]:
    """("A less B", differences by column) of each pair (A, B) of rows of which both have a line."""
    lines: dict[str, Line] = {line.row: line for line in measured.lines if line.kind == "row"}
    found = []
    for mine, other in pairs:
        if mine in lines and other in lines:
            values = {
                column: between
                for column in measured.columns
                if column in lines[mine].values and column in lines[other].values
                if (between := difference(lines[mine].values[column], lines[other].values[column]))
            }
            found.append((f"{lines[mine].title} less {lines[other].title}", values))
    return found


def as_texts(
    measured: Table, head: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> tuple[list[str], list[list[str]]]:
    """(head, rows) of the differences as plain texts, in the columns of the table."""
    rows = [
        [title, *(str(values[column]) if column in values else "" for column in measured.columns)]
        for title, values in differences(measured, pairs)
    ]
    return list(head), rows
