"""The rule `top_fraction`: the pairs with the highest score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

from pydantic import Field

from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.corpus.top_fraction import keep_highest
from pipelines.curate.rules.rule import CorpusRule


class TopFraction(CorpusRule):
    """Keeps exactly ⌈fraction · n⌉ of the n pairs of the population: those with the highest score.

    Of equal scores the earlier pairs stay; NaN is below all numbers. `fraction` is taken as the decimal number that it
    is written as: 0.1 of 30 pairs are 3. DataComp (Gadre et al. 2023): CLIP score, 0.3.
    """

    kind: Literal["top_fraction"]
    score: str = Field(min_length=1, description="the column of a score, the higher the better")
    fraction: float = Field(gt=0, le=1, description="fraction of the pairs that are kept, above 0, at most 1")

    def columns(self) -> Sequence[str]:
        """The score."""
        return (self.score,)

    def decide(self, corpus: Corpus) -> None:
        """Find the lowest score that is kept by counting digits, and compare each pair's with it."""
        keep_highest(corpus, self.score, KeptOf(self.fraction))

    def words(self) -> str:
        return f"keeps: the {self.fraction:.6g} of pairs with the highest {self.score}"

    def limit(self) -> str:
        return f"the highest {self.fraction:.6g} of pairs"


@dataclass(frozen=True)
class KeptOf:
    """The number of pairs kept of n."""

    fraction: float

    def __call__(self, pairs: int) -> int:
        return ceil(Fraction(repr(self.fraction)) * pairs)
