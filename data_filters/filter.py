"""What a filter is: a score of one image-text pair, and a limit for it.

A score is computed once and stored. The verdict is the comparison with the limit alone, so another limit can be
tried without reading an image again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from data_filters.facts import Facts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Facts", "Filter", "Limit"]


@dataclass(frozen=True)
class Limit:
    """A key of the recipe that a score is compared with.

    A `default` of None means that the filter judges only where the recipe gives a value; `number` is then the type of
    the key, int or float, which otherwise is that of `default`. `minimum` and `maximum` are the values that a recipe
    may give, both included. In a table `quantity` stands before the number and `unit` behind it, where they are not
    empty; `description` explains the key in full.

    Raises ValueError when neither `default` nor `number` gives the type.
    """

    key: str
    default: float | None
    unit: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    quantity: str = ""
    number: type[int] | type[float] | None = None

    def __post_init__(self) -> None:
        if self.default is None and self.number is None:
            raise ValueError(
                f"the limit {self.key} has neither a default nor a type; give number=int or float"
            )

    @property
    def number_type(self) -> type[int] | type[float]:
        """The type of the key's values."""
        if self.number is not None:
            return self.number
        return int if isinstance(self.default, int) else float


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

    @overload
    def keeps(self, value: float, limit: float) -> bool: ...
    @overload
    def keeps(self, value: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.bool_]: ...
    def keeps(self, value: float | npt.NDArray[np.float64], limit: float) -> bool | npt.NDArray[np.bool_]:
        """Whether a score passes a value of the limit, or each of an array of scores; NaN never does."""
        if self.above is not None:
            return value > limit
        if self.at_least is not None:
            return value >= limit
        return value <= limit

    def rule(self, limit: float) -> str:
        """The rule in words, with its unit: `keeps: shorter side above 200 px`."""
        side = "above" if self.above is not None else "at least" if self.at_least is not None else "at most"
        return " ".join(filter(None, ["keeps:", self.limit.quantity, side, f"{limit:g}", self.limit.unit]))
