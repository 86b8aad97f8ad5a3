"""Filters of the caption."""

from __future__ import annotations

from data_filters.filter import Facts, Filter, Limit


def word_count(caption: str) -> float:
    """Count words: runs of characters between white space; an empty caption has none."""
    return float(len(caption.split()))


def _words(facts: Facts) -> float:
    return word_count(facts.caption)


FEW_WORDS = Filter(
    score="words",
    measure=_words,
    at_least=Limit(
        key="min_words",
        default=3,
        minimum=0,
        unit="words",
        description="words of the caption; a pair is dropped when below this",
    ),
)

MANY_WORDS = Filter(
    score="words",
    measure=_words,
    at_most=Limit(
        key="max_words",
        default=100,
        minimum=1,
        unit="words",
        description="words of the caption; a pair is dropped when above this",
    ),
)
