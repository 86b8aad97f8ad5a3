"""How many pairs a rule on near duplicates cannot judge, by cause."""

from __future__ import annotations

from collections.abc import Mapping

Counts = Mapping[str, int]


def add_counts(one: Counts, other: Counts) -> Counts:
    """The sum of both, cause by cause."""
    return {cause: one.get(cause, 0) + other.get(cause, 0) for cause in sorted({*one, *other})}
