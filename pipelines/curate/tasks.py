"""What a Ray worker does with one shard: the scan of a raw shard, the writing of a curated one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.sample import BrokenSample
from pipelines.common.files import read_json
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import CorpusDecision
from pipelines.curate.cost import LOOK, WRITE
from pipelines.curate.decide import Decision, decide
from pipelines.curate.funnel import add_funnels
from pipelines.curate.kept_samples import Part
from pipelines.curate.look.look import lacking, look, stored_looks
from pipelines.curate.output_shards import OutputShard
from pipelines.curate.pilot import probe
from pipelines.curate.plan import Plan
from pipelines.curate.scored import stored_scores, up_to_date
from pipelines.curate.scores.storage import Scores, load_group, save_scores, with_table
from pipelines.curate.write import write_unit
from pipelines.ray_tasks import Result
from pipelines.shards.manifest import Manifest, manifest_uri
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.unit import Unit
from pipelines.shards.witness import ShardChanged, check_unchanged


class ScanShard:
    """Phase A for one raw shard: brings its scores up to date; returns what its own rules would keep."""

    def __init__(self, plan: Plan, store: str, verify: bool, elsewhere: str | None) -> None:
        self.plan, self.store, self.verify, self.elsewhere = plan, store, verify, elsewhere

    def __call__(self, unit: Unit) -> Result:
        scores = up_to_date(unit, self.plan.groups, self.store, verify=self.verify, elsewhere=self.elsewhere)
        decision = decide(scores, self.plan.before_look)
        return {
            "funnel": asdict(decision.funnel),
            "sha256": scores.sha256,
            "rows": scores.facts.num_rows,
            "kept_bytes": _bytes_of(scores.facts, decision.kept),
            "seconds": dict(scores.seconds),
            "timed_pairs": scores.facts.num_rows,
            "damaged": list(scores.damaged),
        }


def _bytes_of(facts: pa.Table, rows: npt.NDArray[np.int64]) -> int:
    """The bytes of the members of some pairs."""
    lists = facts.column("members").take(pa.array(rows)).combine_chunks()
    return int(lists.flatten().field("length").to_numpy().sum()) if len(lists) else 0


class CountLacking:
    """Counts for one raw shard the pairs at which each look group still has to look."""

    def __init__(
        self, plan: Plan, store: str, decision: CorpusDecision | None, elsewhere: str | None
    ) -> None:
        self.plan, self.store, self.decision, self.elsewhere = plan, store, decision, elsewhere

    def __call__(self, unit: Unit) -> Result:
        scores, decision = before_look(unit, self.plan, self.store, self.decision)
        tables = stored_looks(scores, self.plan.looks, self.store, self.elsewhere)
        counts = {
            group.name: len(lacking(tables[group.name], group, decision.kept)) for group in self.plan.looks
        }
        return {"funnel": asdict(decision.funnel), "lacking": counts}


class LookShard:
    """Phase L for one raw shard: looks at the pairs that stay so far, and stores what it sees."""

    def __init__(
        self,
        plan: Plan,
        store: str,
        decision: CorpusDecision | None,
        elsewhere: str | None,
        batch_size: int,
    ) -> None:
        self.plan, self.store, self.decision, self.elsewhere = plan, store, decision, elsewhere
        self.batch_size = batch_size

    def __call__(self, unit: Unit) -> Result:
        scores, decision = before_look(unit, self.plan, self.store, self.decision)
        damaged: list[str] = []
        tables = stored_looks(scores, self.plan.looks, self.store, self.elsewhere, damaged=damaged)
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        new = look(scores, tables, self.plan.looks, decision.kept, self.batch_size, seconds)
        if seconds:
            seconds[LOOK] = time.perf_counter() - started - sum(seconds.values())
        for group in self.plan.looks:
            if group.name in new or load_group(scores, group, self.store) is None:
                scores = with_table(scores, group, new.get(group.name, tables[group.name]))
                save_scores(scores, [group], self.store)
            else:
                scores = with_table(scores, group, tables[group.name])
        return {
            "funnel": asdict(decide(scores, self.plan, self._drops(unit)).funnel),
            "seconds": seconds,
            "timed_pairs": len(decision.kept),
            "damaged": damaged,
        }

    def _drops(self, unit: Unit) -> Mapping[int, pa.Table]:
        return {} if self.decision is None else self.decision.drops(unit.name)


def before_look(
    unit: Unit, plan: Plan, store: str, decision: CorpusDecision | None
) -> tuple[Scores, Decision]:
    """The scores of a raw shard that need no pixels, and what the rules before phase L decide."""
    scores, missing = stored_scores(unit, plan.groups, store)
    if scores is None or missing:
        raise ShardChanged(
            f"{unit.uri} was changed after it was scanned; wait until whatever writes it has ended and run again"
        )
    drops = {} if decision is None else decision.drops(unit.name)
    return scores, decide(scores, plan.before_look, drops)


class WriteShard:
    """Phase C for one curated shard; returns its funnel and whether its tar was written.

    `together`: the raw shards of those curated shards that have several. `decisions`: what the rules over the corpus
    drop. `standing`: the names of those that are committed and whole. In a dry run nothing is written.
    """

    def __init__(
        self,
        config: CurateConfig,
        plan: Plan,
        store: str,
        together: Mapping[str, OutputShard],
        decisions: Sequence[CorpusDecision],
        standing: frozenset[str],
        dry_run: bool,
    ) -> None:
        self.config, self.plan, self.store, self.together = config, plan, store, together
        self.decisions, self.standing, self.dry_run = decisions, standing, dry_run

    def __call__(self, shard: Unit) -> Result:
        units = self.together[shard.name].units if shard.name in self.together else (shard,)
        parts = [self._part(unit) for unit in units]
        if self.dry_run:
            return self._probed(parts)
        earlier = self._earlier(shard.name)
        started = time.perf_counter()
        try:
            manifest = write_unit(
                shard.name, parts, self.store, self.config, self.plan, earlier, self.decisions
            )
        except (BrokenShard, BrokenSample):  # it could be read a moment ago
            for part in parts:
                if part.scores.witness is not None:
                    check_unchanged(part.scores.unit.uri, part.scores.witness)
            raise
        written = earlier is None or earlier["kept"] != manifest["kept"]
        return {
            "funnel": manifest["funnel"],
            "written": written and bool(manifest["outputs"]),
            "seconds": {WRITE: time.perf_counter() - started} if written else {},
            "timed_pairs": manifest["funnel"]["kept"],
        }

    def _probed(self, parts: Sequence[Part]) -> Result:
        """What a dry run returns: the funnel, and what writing would take."""
        funnel = add_funnels((part.decision.funnel for part in parts), self.plan)
        probes = [probe(part, self.config) for part in parts]
        return {
            "funnel": asdict(funnel),
            "written": False,
            "size": sum(part.scores.unit.size for part in parts),
            "bytes": sum(size for size, _ in probes),
            "seconds": {WRITE: sum(seconds for _, seconds in probes)},
            "timed_pairs": funnel.kept,
        }

    def _part(self, unit: Unit) -> Part:
        early = self.decisions[0] if self.decisions else None
        scores, _ = before_look(unit, self.plan, self.store, early)
        looks = stored_looks(scores, self.plan.looks, self.store)
        for group in self.plan.looks:
            scores = with_table(scores, group, looks[group.name])
        drops: dict[int, pa.Table] = {}
        for decision in self.decisions:
            drops.update(decision.drops(unit.name))
        return Part(scores, decide(scores, self.plan, drops))

    def _earlier(self, name: str) -> Manifest | None:
        """The manifest of a curated shard that stands."""
        manifest = read_json(manifest_uri(self.store, name)) if name in self.standing else None
        return manifest if isinstance(manifest, dict) else None
