"""The rule `balance`: as many pairs of frequent concepts as of rarer ones (MetaCLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from data_filters.balance import entry_hashes
from data_filters.errors import InputError
from pipelines.curate.corpus.balance import balance_over_list, balance_over_ngrams
from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.rules.list_files import Source
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
        """Read the file of entries anew. Raises InputError when it cannot be read or holds none."""
        self.__dict__.pop("recorded", None)
        self.sources()

    @cached_property
    def recorded(self) -> Source | None:
        """The file as this rule has first read it; None where the entries are the corpus's own n-grams."""
        if isinstance(self.entries, int):
            return None
        entries, sha256 = read_entries(self.entries)
        return Source(self.entries, sha256, len(entries))

    def sources(self) -> Sequence[dict[str, str | int]]:
        """Path, sha256 and number of entries of the file, for the data set's record."""
        return [] if self.recorded is None else [self.recorded.as_json()]

    def groups(self) -> Sequence[Group]:
        """The words of captions, or the entries of the file in them. Raises InputError when it cannot be read."""
        if self.recorded is None:
            return (Ngrams(),)
        return (Entries(self.recorded.path, self.recorded.sha256, self.ignore_case),)

    def decide(self, corpus: Corpus) -> None:
        """Count the pairs of every entry in one pass, and throw the coins in a second.

        Raises InputError when the file of entries is another than the one whose places are stored.
        """
        if isinstance(self.entries, int):
            balance_over_ngrams(corpus, self.entries, self.t, self.seed)
            return
        entries, sha256 = read_entries(self.entries)
        if self.recorded is None or sha256 != self.recorded.sha256:
            raise InputError(
                f"entries {self.entries} has changed since the run was planned; start the run again"
            )
        balance_over_list(corpus, entry_hashes(entries), self.t, self.seed)

    def words(self) -> str:
        entries = f"{self.entries:,} n-grams" if isinstance(self.entries, int) else self.entries
        return f"keeps: about {self.t:,} pairs of each entry of {entries}"

    def limit(self) -> str:
        return f"about {self.t:,} pairs of an entry"
