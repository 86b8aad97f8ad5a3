"""Phase B for one shard: which pairs are kept, from stored scores and the recipe's limits. Pure.

Rules over the corpus have been run before (`pipelines.curate.corpus`); what they drop of this shard is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.funnel import Funnel, empty_funnel
from pipelines.curate.plan import Plan, Step
from pipelines.curate.rules import CorpusRule
from pipelines.curate.scores.storage import Scores

ROW_BITS = 32  # of a rank, those of the row in its shard
Rows = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decision:
    """What is decided about the pairs of a shard.

    `bits`: for each pair the rules that it fails, bit k for the plan's step k. `drops`: of each rule over the corpus,
    by its step, the rows that it drops with value and account (DROPS).
    """

    bits: Bits
    drops: dict[int, pa.Table]
    funnel: Funnel

    @property
    def kept(self) -> Rows:
        """The rows that are kept, in the shard's order."""
        return np.flatnonzero(self.bits == 0)

    @property
    def first(self) -> npt.NDArray[np.int8]:
        """For each pair the first step that it fails, -1 where it is kept."""
        return first_step(self.bits)


def first_step(bits: Bits) -> npt.NDArray[np.int8]:
    """The lowest bit of each value, -1 where there is none."""
    lowest = bits & -bits
    first = np.full(len(bits), -1, np.int8)
    failing = lowest > 0
    first[failing] = np.log2(lowest[failing].astype(np.float64)).astype(np.int8)  # a power of two is exact
    return first


def pair_columns(plan: Plan) -> list[str]:
    """The score columns that the rules that look at one pair compare, after the pair's key."""
    names = ["key"]
    for step in plan.steps:
        if not isinstance(step.rule, CorpusRule):
            names += step.rule.columns()
    return list(dict.fromkeys(names))


def pair_bits(table: pa.Table, plan: Plan) -> Bits:
    """Judge every pair by every rule that looks at one pair; bit k is set where step k fails.

    `table` has the columns `pair_columns`.
    """
    bits = np.zeros(table.num_rows, np.int64)
    for number, step in enumerate(plan.steps):
        if not isinstance(step.rule, CorpusRule):
            failing = step.rule.fails(table.select(list(step.rule.columns())))
            bits |= failing.astype(np.int64) << np.int64(number)
    return bits


def decide(scores: Scores, plan: Plan, drops: dict[int, pa.Table] | None = None) -> Decision:
    """Judge every pair by every rule; the first rule that it fails is the reason."""
    drops = drops or {}
    bits = pair_bits(scores.columns(pair_columns(plan)), plan)
    for number, table in drops.items():
        rows = table.column("rank").to_numpy() & ((1 << ROW_BITS) - 1)
        bits[rows] |= np.int64(1) << np.int64(number)
    return Decision(bits, drops, _funnel(bits, scores.quarantine, plan))


def _funnel(bits: Bits, quarantine: pa.Table, plan: Plan) -> Funnel:
    funnel = empty_funnel(plan)
    funnel.pairs = len(bits)
    standing = np.ones(len(bits), np.bool_)
    for number, counts in enumerate(funnel.filters):
        failing = (bits >> number) & 1 == 1
        counts.seen = int(standing.sum())
        counts.rejected = int(failing.sum())
        counts.rejected_in_order = int((failing & standing).sum())
        counts.rejected_alone = int((bits == 1 << number).sum())
        standing &= ~failing
    for row in quarantine.select(["reason", "count", "estimated"]).to_pylist():
        if row["count"]:  # a damage of the tar stands for as many samples as it has cost
            funnel.quarantine[row["reason"]] = funnel.quarantine.get(row["reason"], 0) + row["count"]
            funnel.estimated += row["count"] if row["estimated"] else 0
    funnel.quarantine = dict(sorted(funnel.quarantine.items()))
    funnel.quarantined = sum(funnel.quarantine.values())
    funnel.samples = funnel.pairs + funnel.quarantined
    funnel.kept = int(standing.sum())
    return funnel


# Any: numbers or texts.
def values_of(scores: Scores, decision: Decision, number: int, step: Step, rows: Rows) -> list[Any]:
    """The values that step `number` compared for some of the rows that fail it, in the order given."""
    if not isinstance(step.rule, CorpusRule):
        return step.rule.values(scores.columns(step.rule.columns()).take(pa.array(rows)))
    return _at(decision.drops.get(number, DROPS.empty_table()), rows).column("value").to_pylist()


def others_of(decision: Decision, number: int, rows: Rows) -> list[int | None]:
    """The ranks of the pairs on whose account step `number` drops these rows; None for a rule without."""
    if number not in decision.drops:
        return [None] * len(rows)
    return _at(decision.drops[number], rows).column("other").to_pylist()


def _at(drops: pa.Table, rows: Rows) -> pa.Table:
    """The entries of some rows, in the order given; nulls where there is none."""
    places = pc.bit_wise_and(drops.column("rank"), (1 << ROW_BITS) - 1)
    return drops.take(pc.index_in(pa.array(rows), places.combine_chunks()))
