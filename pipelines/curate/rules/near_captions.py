"""Near duplicates of captions: a pair goes when an earlier caption has nearly the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, inf, log, log1p
from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.curate.corpus.corpus import Corpus, Rows
from pipelines.curate.corpus.near.caption_bands import (
    ROW_BYTES,
    BandsOfCaptions,
    GroupsOfCaptions,
    KeysOfCaptions,
    NearestCaptions,
    sets_of,
)
from pipelines.curate.corpus.near.hot_copies import shuffle_without_copies
from pipelines.curate.corpus.near.minhash_bands import MinHashBands
from pipelines.curate.corpus.near.no_verdict import Counts, add_counts
from pipelines.curate.corpus.near.oversized import oversized_notes
from pipelines.curate.corpus.near.repeated_keys import repeated_keys
from pipelines.curate.rules.rule import CorpusRule
from pipelines.curate.scores import word_sets
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.word_sets import WORD_SET

MOST_BANDS = 256


class NearCaptions(CorpusRule):
    """Drop a pair when an earlier one of the rule's population has a caption of nearly the same words.

    Captions are compared as sets of words (`data_filters.duplicates.words`) by Jaccard similarity. Candidates share
    a band of MinHash values, and each is verified exactly. A caption without a word is not judged.
    """

    kind: Literal["near_captions"]
    min_similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="words in common over words of both (0 to 1); the later pair is dropped at this or above",
    )
    rows: int = Field(
        6, ge=1, le=32, description="MinHash values of a band; more: fewer candidates, more bands"
    )
    min_recall: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="share of the pairs just at min_similarity that share a band; decides bands",
    )
    cap: int = Field(
        1000, ge=1, description="captions of a bucket, the earliest, that each later one is compared with"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="decides the MinHash functions")

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self._bands_needed() > MOST_BANDS:
            raise ValueError(
                f"min_similarity {self.min_similarity} with {self.rows} rows needs {self._bands_needed():.0f} bands; "
                f"at most {MOST_BANDS} are allowed; lower rows or min_recall"
            )
        return self

    def _bands_needed(self) -> float:
        equal = self.min_similarity**self.rows  # the probability that a band is equal, at the limit
        if equal in (0, 1):
            return 1 if equal else inf
        return max(1, log(1 - self.min_recall) / log1p(-equal))

    def bands(self) -> MinHashBands:
        """The fewest bands with the recall that is asked for at the limit."""
        return MinHashBands(ceil(self._bands_needed()), self.rows, self.seed)

    def groups(self) -> Sequence[Group]:
        """The word sets."""
        return (word_sets.WordSets(),)

    def words(self) -> str:
        """For the funnel."""
        return f"keeps: captions whose words are less than {self.min_similarity:g} the same as an earlier caption's"

    def limit(self) -> str:
        """For the status."""
        return f"similarity below {self.min_similarity:g}"

    def recall_by_distance(self) -> list[tuple[float, float]]:
        """Rows (Jaccard distance, probability that two captions at it are compared), from 0 to the limit."""
        furthest = 1 - self.min_similarity
        distances = sorted({round(furthest * step / 8, 6) for step in range(9)})
        return [(distance, self.bands().recall(1 - distance)) for distance in distances]

    def no_verdict(self, corpus: Corpus) -> Counts:
        """The pairs of the population that are not judged."""
        return corpus.fold([WORD_SET], _without_words, add_counts)

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        """That large buckets were not compared in full."""
        return oversized_notes(counts, self.cap, "captions")

    def decide(self, corpus: Corpus) -> None:
        """Drop the later of two near captions."""
        bands, limit = self.bands(), self.min_similarity
        repeated = repeated_keys(corpus, [WORD_SET], KeysOfCaptions(bands, limit))
        select, reduce = BandsOfCaptions(bands, limit, repeated), NearestCaptions(limit, self.cap)
        shuffle_without_copies(corpus, [WORD_SET], select, reduce, GroupsOfCaptions(), ROW_BYTES, equal=1.0)


def _without_words(rows: Rows) -> Counts:
    sizes = sets_of(rows.table).sizes()
    return {"captions without a word": 0 if rows.is_earlier else int((sizes == 0).sum())}
