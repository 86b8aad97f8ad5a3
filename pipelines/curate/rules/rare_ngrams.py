"""The rule `rare_ngrams`: captions of frequent words and pairs of words alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.corpus.ngrams import COLUMN, DropRare, count_ngrams, most_frequent
from pipelines.curate.rules.rule import CorpusRule
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.ngrams import Ngrams


class RareNgrams(CorpusRule):
    """Drops a caption with a word or a pair of words that is not among the most frequent of the population.

    ALIGN (Jia et al. 2021, section 3): "captions that contain any rare token (outside of 100 million most frequent
    unigrams and bigrams from the raw dataset)"; LOUPE (appendix A) takes it over. Every occurrence is counted, as word
    frequencies are. A caption without a word has no rare one and stays.
    """

    kind: Literal["rare_ngrams"]
    most_frequent: int = Field(
        100_000_000, ge=1, description="unigrams and bigrams together; all others are rare"
    )

    def groups(self) -> Sequence[Group]:
        return (Ngrams(),)

    def decide(self, corpus: Corpus) -> None:
        """Count all n-grams in one pass, and compare each caption's with the most frequent in a second."""
        kept, _ = most_frequent(count_ngrams(corpus, once_per_pair=False), self.most_frequent)
        corpus.choose([COLUMN], DropRare(corpus.share(kept)))

    def words(self) -> str:
        return f"keeps: words and pairs of words among the {self.most_frequent:,} most frequent"

    def limit(self) -> str:
        return "0 rare words and pairs of words"
