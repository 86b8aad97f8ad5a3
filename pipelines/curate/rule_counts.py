"""Counts what rules of one pair tell of the pairs of a shard that reach them (`PairRule.counts`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipelines.curate.decide import SET_ASIDE, Decision
from pipelines.curate.plan import Plan
from pipelines.curate.rules import PairRule
from pipelines.curate.scores.storage import Scores

Counts = Mapping[str, Mapping[str, int]]
"""Rule → what is counted → pairs."""


def rule_counts(scores: Scores, decision: Decision, plan: Plan) -> Counts:
    """The counts of the rules that tell any; pairs that an earlier rule drops do not count."""
    found: dict[str, Mapping[str, int]] = {}
    for number, step in enumerate(plan.steps):
        if not isinstance(step.rule, PairRule):
            continue
        before = np.int64((1 << number) - 1)
        rows = np.flatnonzero((decision.bits & before == 0) & (decision.bits != SET_ASIDE))
        counts = step.rule.counts(scores.columns(step.rule.columns()).take(pa.array(rows)))
        if counts:
            found[step.name] = counts
    return found


def counted_notes(plan: Plan, counts: Counts) -> list[str]:
    """What the rules say of counts summed over the shards, in sentences, each after the rule's name."""
    return [
        f"{step.name}: {sentence}"
        for step in plan.steps
        if isinstance(step.rule, PairRule) and step.name in counts
        for sentence in step.rule.notes(counts[step.name])
    ]
