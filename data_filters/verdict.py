"""The verdict of a filter on one pair: kept, or dropped with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keep:
    """The pair passes; `value` is the score that was compared."""

    value: float


@dataclass(frozen=True)
class Drop:
    """The pair is rejected: the filter's name, the score, and the limit that it did not meet."""

    reason: str
    value: float
    limit: float


Verdict = Keep | Drop
