"""Phase B for one shard: which pairs are kept, from stored scores and the recipe's limits. Pure.

Rules over the corpus have been run before (`pipelines.curate.corpus`); what they drop of this shard is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drops import ROW_MASK, places
from pipelines.curate.funnel import Funnel, empty_funnel
from pipelines.curate.look.group import fault_column
from pipelines.curate.plan import MOST_RULES, Plan, Step
from pipelines.curate.rules import CorpusRule
from pipelines.curate.scores.storage import Scores

SET_ASIDE = np.int64(1) << np.int64(MOST_RULES)  # the bits of a pair whose image does not decode
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
    def set_aside(self) -> Rows:
        """The rows whose image does not decode, as phase L has found."""
        return np.flatnonzero(self.bits == SET_ASIDE)

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


def decide(scores: Scores, plan: Plan, drops: Mapping[int, pa.Table] | None = None) -> Decision:
    """Judge every pair by every rule; the first rule that it fails is the reason.

    Rules that look judge the pairs that pass all rules before phase L; of these, pairs whose image does not decode are
    set aside.
    """
    drops = dict(drops or {})
    pair = pair_bits(scores.columns(pair_columns(plan)), plan)
    faults = faults_of(scores, plan)
    faulty = np.zeros(len(pair), np.bool_)
    if plan.looks:
        faulty = np.array([fault is not None for fault in faults], np.bool_)
    bits = all_bits(pair, faulty, drops, plan)
    reasons = [faults[row] or "" for row in np.flatnonzero(bits == SET_ASIDE)]
    return Decision(bits, drops, funnel_of(bits, scores.quarantine, reasons, plan))


def all_bits(pair: Bits, faulty: npt.NDArray[np.bool_], drops: Mapping[int, pa.Table], plan: Plan) -> Bits:
    """The bits of all rules, from those that look at one pair (`pair_bits`) and the drops of those over the corpus.

    `faulty`: whether the image of each pair does not decode. Rules that look judge pairs that pass those that do not.
    """
    first_late = len(plan.before_look.steps)
    bits = pair & _below(first_late)
    _add_drops(bits, {number: table for number, table in drops.items() if number < first_late})
    if first_late < len(plan.steps):
        standing = bits == 0
        bits = np.where(standing & ~faulty, pair & ~_below(first_late), bits)
        bits[standing & faulty] = SET_ASIDE
        _add_drops(bits, {number: table for number, table in drops.items() if number >= first_late})
    return bits


def faults_of(scores: Scores, plan: Plan) -> list[str | None]:
    """Of each pair why its image does not decode, as `reason: detail`; None for one that does or was not looked at."""
    faults: list[str | None] = [None] * scores.facts.num_rows
    for group in plan.looks:
        of_group = scores.tables[group.name].column(fault_column(group)).to_pylist()
        faults = [before or now for before, now in zip(faults, of_group, strict=True)]
    return faults


def _below(step: int) -> np.int64:
    """The bits of all steps before one."""
    return np.int64((1 << step) - 1)


def _add_drops(bits: Bits, drops: Mapping[int, pa.Table]) -> None:
    for number, table in drops.items():
        bits[places(table)] |= np.int64(1) << np.int64(number)


def funnel_of(bits: Bits, quarantine: pa.Table, faults: list[str], plan: Plan) -> Funnel:
    """Count a shard's pairs by the rules that they fail; `faults` are those of the pairs that were set aside."""
    funnel = empty_funnel(plan)
    standing = bits != SET_ASIDE
    funnel.pairs = int(standing.sum())
    for number, counts in enumerate(funnel.filters):
        failing = (bits >> number) & 1 == 1
        counts.seen = int(standing.sum())
        counts.rejected = int(failing.sum())
        counts.rejected_in_order = int((failing & standing).sum())
        counts.rejected_alone = int((bits == 1 << number).sum())
        standing &= ~failing
    lost = [(row["reason"], row["count"], row["estimated"]) for row in quarantine.to_pylist()]
    for reason, count, is_estimated in [*lost, *((fault.split(":")[0], 1, False) for fault in faults)]:
        if count:  # a damage of the tar stands for as many samples as it has cost
            funnel.quarantine[reason] = funnel.quarantine.get(reason, 0) + count
            funnel.estimated += count if is_estimated else 0
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
    found = pc.bit_wise_and(drops.column("rank"), ROW_MASK)
    return drops.take(pc.index_in(pa.array(rows), found.combine_chunks()))
