"""Evaluations as rows of a table: what names them, how their numbers are written, which one is best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from pipelines.common.html.numbers import short
from pretrain.report.sources import Evaluation

Key = TypeVar("Key", bound=Hashable)


def grouped(
    evaluations: Iterable[Evaluation], key: Callable[[Evaluation], Key]
) -> dict[Key, list[Evaluation]]:
    """Evaluations by key; groups and their members in the order in which they came."""
    groups: dict[Key, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(key(evaluation), []).append(evaluation)
    return groups


def name_columns(group: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the columns that name an evaluation; methods only where there are any."""
    if any(evaluation.method for evaluation in group):
        return ["data", "method"], [[evaluation.data, evaluation.method] for evaluation in group]
    return ["data"], [[evaluation.data] for evaluation in group]


def union(rows: Iterable[Iterable[str]]) -> list[str]:
    """All names, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def columns_of(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> list[list[str]]:
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
    rows: Sequence[Mapping[str, float]], names: Sequence[str], alike: Sequence[Hashable], first: int
) -> set[tuple[int, int]]:
    """(row, column) of each column's best value among rows of the same kind, where their values differ.

    `alike` is the kind of each row, `first` the column of the first name.
    """
    marked = set()
    for kind in dict.fromkeys(alike):
        for column, name in enumerate(names, first):
            values = {
                place: row[name] for place, row in enumerate(rows) if alike[place] == kind and name in row
            }
            if len(set(values.values())) > 1:
                best = max(values.values())
                marked |= {(place, column) for place, value in values.items() if value == best}
    return marked


def percent(value: float) -> str:
    """A fraction in percent, with one digit and no sign."""
    return f"{100 * value:.1f}"
