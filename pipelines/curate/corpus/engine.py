"""What carries out the rules of a recipe, one after the other, and keeps what each drops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from pipelines.curate.corpus.corpus import Corpus

Decide = Callable[[Corpus], None]
"""A rule's `decide`: at most one call of `choose` or `shuffle`, its last."""


class Engine(Protocol):
    """Runs rules over all shards; a later rule sees the pairs that no earlier one dropped."""

    def run(self, decide: Decide) -> int:
        """Run the next rule and return its number, from 0.

        Raises what the rule raises; TaskFailed where workers died at every attempt.
        """
        ...

    def counts(self, rule: int) -> dict[str, int]:
        """What the `reduce` of a rule that has run counted, by name, summed over its calls."""
        ...

    def drops(self, rule: int, shard: int) -> pa.Table:
        """What a rule that has run drops of a shard (DROPS), sorted by rank."""
        ...
