"""The rule `balance`: as many pairs of frequent concepts as of rarer ones (MetaCLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from data_filters.balance import entry_hashes
from pipelines.curate.corpus.balance import balance_over_list, balance_over_ngrams
from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.rules.rule import CorpusRule
from pipelines.curate.scores.entries import Entries, read_entries
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.ngrams import Ngrams


class Balance(CorpusRule):
    """Keeps about `t` pairs of every frequent entry, and all of the rare; pairs without an entry go.

    MetaCLIP (Xu et al. 2023, section 3.3 and algorithm 1). A pair stays if for one of its entries a coin falls, with
    probability min(1, t/count). Coins depend on the seed, the shard's name, the pair's key and the entry alone.
    """

    kind: Literal["balance"]
    entries: StrictInt | str = Field(
        description="a file of entries, one per line or a JSON list; or a number: the most frequent words and pairs "
        "of words of the corpus, by the number of pairs that have them",
    )
    t: int = Field(
        20_000, ge=1, description="pairs of an entry above which it is thinned out (20,000 of 400M)"
    )
    seed: int = Field(0, ge=0, lt=1 << 64, description="of the coins; another one keeps other pairs")
    ignore_case: bool = Field(
        False, description="whether entries of a file match in upper and lower case; MetaCLIP's do not"
    )

    @field_validator("entries", mode="before")
    @classmethod
    def _file_or_number(cls, entries: object) -> object:
        is_number = isinstance(entries, int) and not isinstance(entries, bool) and entries > 0
        if is_number or (isinstance(entries, str) and entries):
            return entries
        raise ValueError("allowed are a file of entries, or a whole number from 1")

    @model_validator(mode="after")
    def _case_of_a_file(self) -> Self:
        if self.ignore_case and isinstance(self.entries, int):
            raise ValueError(
                f"ignore_case is true, entries {self.entries}; the corpus's own n-grams have no case: "
                "give a file of entries, or set ignore_case: false"
            )
        return self

    def check(self) -> None:
        """Read the file of entries."""
        if isinstance(self.entries, str):
            read_entries(self.entries)

    def groups(self) -> Sequence[Group]:
        """The words of captions, or the entries of the file in them. Raises InputError when it cannot be read."""
        if isinstance(self.entries, int):
            return (Ngrams(),)
        return (Entries(self.entries, read_entries(self.entries)[1], self.ignore_case),)

    def decide(self, corpus: Corpus) -> None:
        """Count the pairs of every entry in one pass, and throw the coins in a second."""
        if isinstance(self.entries, int):
            balance_over_ngrams(corpus, self.entries, self.t, self.seed)
        else:
            balance_over_list(corpus, entry_hashes(read_entries(self.entries)[0]), self.t, self.seed)

    def words(self) -> str:
        entries = f"{self.entries:,} n-grams" if isinstance(self.entries, int) else self.entries
        return f"keeps: about {self.t:,} pairs of each entry of {entries}"

    def limit(self) -> str:
        return f"t {self.t}"
