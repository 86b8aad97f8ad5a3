"""Counts the pairs of a shard that a rule of one pair could not judge, and did not drop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.counts import summed
from pipelines.curate.decide import SET_ASIDE, Decision
from pipelines.curate.plan import Plan
from pipelines.curate.rules import PairRule
from pipelines.curate.scores.storage import Scores

Counts = Mapping[str, Mapping[str, int]]
"""Rule → cause → pairs that reached the rule."""


def pairs_without_verdict(scores: Scores, decision: Decision, plan: Plan) -> Counts:
    """The counts of the rules that can leave a pair unjudged; pairs that an earlier rule drops do not count."""
    found: dict[str, dict[str, int]] = {}
    for number, step in enumerate(plan.steps):
        cause = step.rule.no_verdict_cause() if isinstance(step.rule, PairRule) else ""
        if not cause:
            continue
        assert isinstance(step.rule, PairRule)
        up_to_here = np.int64((1 << (number + 1)) - 1)
        rows = np.flatnonzero((decision.bits & up_to_here == 0) & (decision.bits != SET_ASIDE))
        table = scores.columns(step.rule.columns()).take(pa.array(rows))
        found[step.name] = {cause: int(step.rule.without_verdict(table).sum())}
    return found


def add_verdictless(parts: Iterable[Counts]) -> dict[str, dict[str, int]]:
    """Sum the counts of several shards."""
    by_rule: dict[str, list[Mapping[str, int]]] = {}
    for part in parts:
        for rule, counts in part.items():
            by_rule.setdefault(rule, []).append(counts)
    return {rule: summed(counts) for rule, counts in sorted(by_rule.items())}
