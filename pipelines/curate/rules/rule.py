"""What a rule of a recipe is, beyond the filters with one limit: options under a name in `rules`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.common.config import Section
from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.look.group import AnyLook
from pipelines.curate.scores.group import Group


class Rule(Section):
    """Options of a rule. A subclass adds `kind: Literal["..."]` and a line in RULES."""

    def check(self) -> None:
        """Raise InputError, before the first shard is read, when a list or a model that it names cannot be used."""

    def groups(self) -> Sequence[Group | AnyLook]:
        """The score groups that it reads, beside the facts of every pair."""
        return ()

    def sources(self) -> Sequence[Mapping[str, object]]:
        """The files that it reads, each with path, sha256 and number of entries, for `dataset.json`."""
        return ()

    def words(self) -> str:
        """The rule in words, for the funnel: `keeps: language en`."""
        raise NotImplementedError

    def limit(self) -> str:
        """The limit in words, for the status of a pair."""
        raise NotImplementedError


class PairRule(Rule):
    """A rule that looks at one pair at a time: a comparison of stored scores with limits."""

    def columns(self) -> Sequence[str]:
        """The score columns that it compares."""
        raise NotImplementedError

    def fails(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row of a shard's scores fails. A score that is missing or NaN fails."""
        raise NotImplementedError

    # Any: a number or text.
    def values(self, table: pa.Table) -> list[Any]:
        """The value of each row that was compared, for the status."""
        raise NotImplementedError

    def no_verdict_cause(self) -> str:
        """Why the rule leaves some pairs unjudged: `pictures of ...`; empty where it judges all."""
        return ""

    def without_verdict(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row was not judged."""
        return np.zeros(table.num_rows, np.bool_)

    def counts(self, table: pa.Table) -> Mapping[str, int]:
        """What is counted of the pairs that reach the rule, for `notes`; nothing for most rules."""
        return {}

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        """What a person must know of these counts, summed over all shards, in sentences."""
        return ()


class CorpusRule(Rule):
    """A rule that needs all shards: over the pairs that pass every rule before it."""

    def columns(self) -> Sequence[str]:
        """The score columns that a recipe names, which have to exist; those of its own groups need not be listed."""
        return ()

    def notes(self, counts: Mapping[str, int]) -> Sequence[str]:
        """What a person must know of the counts that its `reduce` returned (`corpus.counts`), in sentences."""
        return ()

    def decide(self, corpus: Corpus) -> None:
        """Drop what fails, by one call of `corpus.shuffle` or `corpus.choose` at the end."""
        raise NotImplementedError
