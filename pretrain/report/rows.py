"""Evaluations as rows of a table: what names them, how their numbers are written, which one is best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipelines.common.html.charts import short
from pretrain.report.sources import Evaluation


def grouped(
    evaluations: Iterable[Evaluation], key: Callable[[Evaluation], Any]
) -> dict[Any, list[Evaluation]]:
    """Evaluations by key; groups and their members in the order in which they came."""
    groups: dict[Any, list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(key(one), []).append(one)
    return groups


def who(group: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the columns that name an evaluation; ways only where there are any."""
    if any(one.way for one in group):
        return ["data", "way"], [[one.data, one.way] for one in group]
    return ["data"], [[one.data] for one in group]


def union(rows: Iterable[Iterable[str]]) -> list[str]:
    """All names, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def columns_of(rows: Sequence[dict[str, float]], names: Sequence[str]) -> list[list[str]]:
    """The cells of each row: percent where a whole column holds fractions, else plain numbers."""
    fractions = {name: all(0 <= row[name] <= 1 for row in rows if name in row) for name in names}
    return [
        [
            "–" if name not in row else percent(row[name]) if fractions[name] else short(row[name])
            for name in names
        ]
        for row in rows
    ]


def best_cells(
    rows: Sequence[dict[str, float]], names: Sequence[str], alike: Sequence[Any], first: int
) -> set[tuple[int, int]]:
    """(row, column) of each column's best value among rows of the same kind, where there is a choice.

    `alike` is the kind of each row, `first` the column of the first name.
    """
    marked = set()
    for kind in dict.fromkeys(alike):
        for column, name in enumerate(names, first):
            own = {at: row[name] for at, row in enumerate(rows) if alike[at] == kind and name in row}
            if len(set(own.values())) > 1:
                marked |= {(at, column) for at, value in own.items() if value == max(own.values())}
    return marked


def percent(value: float) -> str:
    """A fraction in percent, with one digit and no sign."""
    return f"{100 * value:.1f}"
