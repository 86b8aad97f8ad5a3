"""`loupe curate --replay`: what another recipe would keep, from the scores of an output; no raw shard is read.

Pairs may lack scores that the new rules read. The result is then an interval: a rule drops none of the pairs whose
scores it lacks (`most`), or all of them (`least`).
"""

from __future__ import annotations

import bisect
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.errors import InputError
from pipelines.common.files import absolute, join
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.corpus.engine import Decide
from pipelines.curate.corpus_decision import CorpusDecision, run_rules, runs_in_process
from pipelines.curate.decide import SET_ASIDE, Bits, all_bits, funnel_of, pair_bits, pair_columns
from pipelines.curate.earlier_outputs import EarlierOutputs, earlier_outputs
from pipelines.curate.funnel import FilterCounts, Funnel, add_funnels, add_onto, funnel_from_json
from pipelines.curate.look.group import fault_column
from pipelines.curate.plan import Plan, make_plan
from pipelines.curate.rules import CorpusRule
from pipelines.curate.scored_corpus import DropUnscored, ScoredCorpus, WithFlags
from pipelines.curate.stored_scores import (
    SCORED,
    ScoredShard,
    StoredScores,
    scored_shards,
    step_columns,
)
from pipelines.ray_tasks import Result, for_each, running_ray
from pipelines.shards.manifest import read_manifests
from pipelines.shards.unit import Unit

UNSCORED = 1000
"""A step's number + UNSCORED: the drops of pairs that lack the scores that the step reads."""


@dataclass(frozen=True)
class Replay:
    """The funnel of the output as it stands, and those of the changed recipe.

    `most`: rules drop none of the pairs whose scores they lack; `least`: all of them. `not_scored`: for each rule the
    pairs that reach it without its scores; `unjudged`: the pairs of `most` that are kept and lack some score.
    """

    output: str
    shards: int
    today: Funnel
    least: Funnel
    most: Funnel
    not_scored: tuple[int, ...]
    unjudged: int

    # Any: the values are those of JSON.
    def as_json(self) -> dict[str, Any]:
        """Every field, for machines."""
        return asdict(self)

    def words(self) -> str:
        """The result in a sentence."""
        text = (
            f"would keep {_interval(self.least.kept, self.most.kept)} of {self.most.pairs:,} pairs, today "
            f"{self.today.kept:,}; nothing written"
        )
        if any(self.not_scored):
            text += (
                "; pairs without a score that a rule needs (not scored) are counted as kept, and as dropped"
            )
        return text

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(head, rows): a row for each rule of either recipe, then the pairs kept."""
        before = {counts.name: counts for counts in self.today.filters}
        rows = []
        for least, most, missing in zip(self.least.filters, self.most.filters, self.not_scored, strict=True):
            was = before.pop(least.name, None)
            dropped = _interval(most.rejected_in_order, least.rejected_in_order)
            seen = _interval(least.seen, most.seen)
            rows.append([least.name, least.words, *_was(was), seen, dropped, f"{missing:,}"])
        rows += [[was.name, f"(no longer) {was.words}", *_was(was), "", "", ""] for was in before.values()]
        rows.append(
            [
                "kept",
                "",
                "",
                f"{self.today.kept:,}",
                "",
                _interval(self.least.kept, self.most.kept),
                f"{self.unjudged:,}",
            ]
        )
        return [
            "filter",
            "rule",
            "pairs in today",
            "dropped today",
            "pairs in",
            "dropped",
            "not scored",
        ], rows


def _was(counts: FilterCounts | None) -> list[str]:
    return ["", ""] if counts is None else [f"{counts.seen:,}", f"{counts.rejected_in_order:,}"]


def _interval(one: int, other: int) -> str:
    low, high = sorted((one, other))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def replay(config: CurateConfig, base: CurateConfig, output: str) -> Replay:
    """Decide by `config` about all pairs whose facts lie in `output`; nothing is written there.

    Today's funnel is that of the commits, or where these do not cover all shards, or are of several recipes, what
    `base` would keep. Runs in this process where the rows fit into `decide.memory`, else on Ray, with a temporary
    folder that all its machines have to reach.

    Raises InputError where the output has no scores.
    """
    output = absolute(output)
    shards = scored_shards(output)
    if not shards:
        raise InputError(
            f"output {output} holds no scores (scores/facts/*.parquet); --replay needs an output of loupe curate"
        )
    rows = sum(shard.rows for shard in shards)
    with contextlib.nullcontext() if runs_in_process(rows, config) else running_ray(config.workers):
        most, missing, unjudged = _decided(config, shards, output, keep=True)
        least = most if not any(missing) else _decided(config, shards, output, keep=False)[0]
        today = _committed(output, shards) or _decided(base, shards, output, keep=True)[0]
    return Replay(output, len(shards), today, least, most, tuple(missing), unjudged)


def _committed(output: str, shards: Sequence[ScoredShard]) -> Funnel | None:
    """The funnel of the commits, where they cover these shards and are of one recipe."""
    manifests = read_manifests(output, skip_damaged=True)
    parts = {part["name"] for manifest in manifests.values() for part in manifest.get("inputs", ())}
    recipes = {manifest["config_hash"] for manifest in manifests.values()}
    if len(recipes) != 1 or parts != {shard.name for shard in shards}:
        return None
    funnels = [funnel_from_json(manifest["funnel"]) for manifest in manifests.values()]
    rules = [FilterCounts(counts.name, counts.words) for counts in funnels[0].filters]
    return add_onto(Funnel(filters=rules), funnels)


def _decided(
    config: CurateConfig, shards: Sequence[ScoredShard], output: str, *, keep: bool
) -> tuple[Funnel, list[int], int]:
    """The funnel of a recipe, for each rule the pairs that reach it without its scores, and those kept without some."""
    plan = make_plan(config)
    stored = StoredScores(output, tuple(shards), plan)
    against = earlier_outputs(config.against, plan)
    with tempfile.TemporaryDirectory(prefix="loupe-replay-") as folder:
        decisions = _decide_corpus(plan, config, stored, against, folder, keep)
        judge = JudgeShard(plan, stored, tuple(decisions), keep)
        units = [Unit(shard.name, "", shard.rows) for shard in shards]
        if runs_in_process(sum(shard.rows for shard in shards), config):
            results: Iterator[Result] = map(judge, units)
        else:
            results = iter(for_each(judge, units, config.workers, lambda unit, result: None))
        found = list(results)
    funnel = add_funnels((funnel_from_json(result["funnel"]) for result in found), plan)
    missing = [sum(counts) for counts in zip(*(result["not_scored"] for result in found), strict=True)]
    return funnel, missing, sum(result["unjudged"] for result in found)


def _decide_corpus(
    plan: Plan,
    config: CurateConfig,
    stored: StoredScores,
    against: EarlierOutputs | None,
    folder: str,
    keep: bool,
) -> list[CorpusDecision]:
    """Run the rules over the corpus: those before phase L, then those after it."""
    decisions: list[CorpusDecision] = []
    first = 0
    for name, part in (("before-look", plan.before_look), ("after-look", plan)):
        rules: dict[int, Decide] = {}
        for step, rule in part.corpus_steps(first).items():
            needs = bool(step_columns(plan, step))
            rules[step] = Flagged(rule, f"{SCORED}{step}") if needs else rule.decide
            if needs and not keep:
                rules[step + UNSCORED] = DropUnscored(f"{SCORED}{step}")
        first = len(part.steps)
        if rules:
            source = ReplaySource(stored, part, tuple(decisions), keep)
            earlier = None if against is None else WithFlags(against)
            decisions.append(run_rules(source, rules, join(folder, name), config, earlier))
    return decisions


@dataclass(frozen=True)
class Flagged:
    """A rule's `decide` over the pairs that have its scores."""

    rule: CorpusRule
    flag: str

    def __call__(self, corpus: Corpus) -> None:
        self.rule.decide(ScoredCorpus(corpus, self.flag))


@dataclass(frozen=True)
class ReplaySource:
    """The pairs of an output that pass the rules of `plan` so far, as rules over the corpus read them."""

    stored: StoredScores
    plan: Plan
    decisions: tuple[CorpusDecision, ...]
    keep: bool

    @property
    def count(self) -> int:
        """The number of shards."""
        return self.stored.count

    def name(self, shard: int) -> str:
        """The shard's name."""
        return self.stored.name(shard)

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.stored.rows(shard)

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all pairs of a shard, null where a shard lacks them."""
        return self.stored.load(shard, columns)

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each pair passes."""
        passes: npt.NDArray[np.bool_] = (
            judged(self.stored, shard, self.plan, self.decisions, keep=self.keep).bits == 0
        )
        return passes


@dataclass(frozen=True)
class Judged:
    """The bits of a shard's pairs, whose scores rule k lacks (bit k), and why images do not decode."""

    bits: Bits
    lacking: Bits
    faults: list[str]


def judged(
    stored: StoredScores, shard: int, plan: Plan, decisions: Sequence[CorpusDecision], *, keep: bool
) -> Judged:
    """Judge a shard's pairs by a plan; rules drop none (`keep`) or all of the pairs whose scores they lack."""
    faults = [fault_column(group) for group in plan.looks]
    flags = [f"{SCORED}{step}" for step in range(len(plan.steps))]
    table = stored.load(shard, list(dict.fromkeys([*pair_columns(plan), *faults, *flags])))
    lacking = np.zeros(table.num_rows, np.int64)
    for step, flag in enumerate(flags):
        lacking |= (~table.column(flag).to_numpy()).astype(np.int64) << np.int64(step)
    pair = pair_bits(table, plan) & ~lacking
    drops: dict[int, pa.Table] = {}
    for decision in decisions:
        drops.update(decision.drops(stored.name(shard)))
    if not keep:
        corpus = sum(1 << step for step in plan.corpus_steps())
        pair |= lacking & ~np.int64(corpus)
        # A rule over the corpus drops what lacks its scores, too, where that has come so far.
        for number in [number for number in drops if number >= UNSCORED]:
            unscored = drops.pop(number)
            drops[number - UNSCORED] = pa.concat_tables([drops[number - UNSCORED], unscored])
    reasons = [
        next(filter(None, row), None)
        for row in zip(*(table.column(f).to_pylist() for f in faults), strict=True)
    ]
    faulty = np.array([reason is not None for reason in reasons] or [False] * table.num_rows, np.bool_)
    bits = all_bits(pair, faulty, drops, plan)
    return Judged(bits, lacking, [reasons[row] or "" for row in np.flatnonzero(bits == SET_ASIDE)])


@dataclass(frozen=True)
class JudgeShard:
    """Counts a shard's pairs: its funnel, and those that lack scores."""

    plan: Plan
    stored: StoredScores
    decisions: tuple[CorpusDecision, ...]
    keep: bool

    def __call__(self, unit: Unit) -> Result:
        shard = bisect.bisect_left(self.stored.shards, unit.shard, key=lambda known: known.shard)
        found = judged(self.stored, shard, self.plan, self.decisions, keep=self.keep)
        funnel = funnel_of(found.bits, self.stored.quarantine(shard), found.faults, self.plan)
        standing = found.bits != SET_ASIDE
        not_scored = []
        for step in range(len(self.plan.steps)):
            not_scored.append(int((standing & (found.lacking >> step & 1 == 1)).sum()))
            standing &= found.bits >> step & 1 == 0
        return {
            "funnel": funnel.as_json(),
            "not_scored": not_scored,
            "unjudged": int(((found.bits == 0) & (found.lacking != 0)).sum()),
        }
