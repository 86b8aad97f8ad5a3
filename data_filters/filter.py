"""What a filter is: a score of one image-text pair, and a limit for it.

A score is computed once and stored. The verdict is the comparison with the limit alone, so another limit can be
tried without reading an image again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data_filters.facts import Facts

__all__ = ["Facts", "Filter", "Limit"]


@dataclass(frozen=True)
class Limit:
    """A key of the recipe that a score is compared with.

    The type of `default` (int or float) is that of the key. `minimum` and `maximum` are the values that a recipe may
    give, both included. In a table `quantity` stands before the number and `unit` behind it, where they are not empty;
    `description` explains the key in full.
    """

    key: str
    default: float
    unit: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    quantity: str = ""


@dataclass(frozen=True)
class Filter:
    """Keeps a pair whose score is above, at least, or at most a limit: exactly one of the three is given.

    `score` names the stored score and `measure` computes it; filters of one score share both.
    Raises ValueError when not exactly one limit is given.
    """

    score: str
    measure: Callable[[Facts], float]
    above: Limit | None = None
    at_least: Limit | None = None
    at_most: Limit | None = None

    def __post_init__(self) -> None:
        given = [limit for limit in (self.above, self.at_least, self.at_most) if limit is not None]
        if len(given) != 1:
            raise ValueError(
                f"a filter of {self.score} has {len(given)} limits; give above, at_least or at_most"
            )

    @property
    def limit(self) -> Limit:
        """The one limit."""
        limit = self.above or self.at_least or self.at_most
        assert limit is not None  # checked at construction
        return limit

    @property
    def limit_name(self) -> str:
        """The limit's key in a recipe."""
        return self.limit.key

    def keeps(self, value: float, limit: float) -> bool:
        """Whether a score passes a value of the limit."""
        if self.above is not None:
            return value > limit
        if self.at_least is not None:
            return value >= limit
        return value <= limit

    def rule(self, limit: float) -> str:
        """The rule in words, with its unit: `keeps: shorter side above 200 px`."""
        side = "above" if self.above is not None else "at least" if self.at_least is not None else "at most"
        return " ".join(filter(None, ["keeps:", self.limit.quantity, side, f"{limit:g}", self.limit.unit]))
