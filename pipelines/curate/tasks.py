"""What a Ray worker does with one shard: the scan of a raw shard, the writing of a curated one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

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
from pipelines.curate.identity import recipe_settings
from pipelines.curate.kept_samples import Part
from pipelines.curate.look.look import filled_up, look, looks_or_empty, still_wanted, stored_looks
from pipelines.curate.pilot import probe
from pipelines.curate.plan import Plan
from pipelines.curate.scored import stored_scores, up_to_date
from pipelines.curate.scores.storage import Scores, save_scores, with_table
from pipelines.curate.write import write_unit
from pipelines.ray_tasks import Result
from pipelines.shards.manifest import Manifest, manifest_uri
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.unit import JoinedUnit, Unit
from pipelines.shards.witness import ShardChanged, check_unchanged


class ScanShard:
    """Phase A for one raw shard: brings its scores up to date; returns what its own rules would keep."""

    def __init__(self, plan: Plan, store: str, verify: bool, elsewhere: str | None) -> None:
        self.plan, self.store, self.verify, self.elsewhere = plan, store, verify, elsewhere

    def __call__(self, unit: Unit) -> Result:
        scores = up_to_date(unit, self.plan.groups, self.store, verify=self.verify, elsewhere=self.elsewhere)
        decision = decide(scores, self.plan.before_look)
        return {
            "funnel": decision.funnel.as_json(),
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
        tables = looks_or_empty(scores, self.plan.looks, self.store, self.elsewhere)
        counts = {
            group.name: len(still_wanted(scores, tables, group, decision.kept)) for group in self.plan.looks
        }
        return {"funnel": decision.funnel.as_json(), "lacking": counts}


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
        stored = stored_looks(scores, self.plan.looks, self.store, damaged=damaged)
        known = {**looks_or_empty(scores, self.plan.looks), **stored}
        tables = known
        if self.elsewhere is not None:
            tables = filled_up(known, stored_looks(scores, self.plan.looks, self.elsewhere), self.plan.looks)
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        new = look(scores, tables, self.plan.looks, decision.kept, self.batch_size, seconds)
        if seconds:
            seconds[LOOK] = time.perf_counter() - started - sum(seconds.values())
        for group in self.plan.looks:
            scores = with_table(scores, group, new.get(group.name, tables[group.name]))
            if scores.tables[group.name] is not known[group.name] or group.name not in stored:
                save_scores(scores, [group], self.store)
        return {
            "funnel": decide(scores, self.plan, self._drops(unit)).funnel.as_json(),
            "seconds": seconds,
            "timed_pairs": len(decision.kept),
            "damaged": damaged,
        }

    def _drops(self, unit: Unit) -> Mapping[int, pa.Table]:
        return {} if self.decision is None else self.decision.drops(unit.name)


def scores_without_looks(unit: Unit, plan: Plan, store: str) -> Scores:
    """The scores of a raw shard that need no pixels, as phase A has stored them."""
    scores, missing = stored_scores(unit, plan.groups, store)
    if scores is None or missing:
        raise ShardChanged(
            f"{unit.uri} was changed after it was scanned; wait until whatever writes it has ended and run again"
        )
    return scores


def before_look(
    unit: Unit, plan: Plan, store: str, decision: CorpusDecision | None
) -> tuple[Scores, Decision]:
    """The scores of a raw shard that need no pixels, and what the rules before phase L decide."""
    scores = scores_without_looks(unit, plan, store)
    drops = {} if decision is None else decision.drops(unit.name)
    return scores, decide(scores, plan.before_look, drops)


class WriteShard:
    """Phase C for one curated shard; returns its funnel and whether its tar was written.

    Of a curated shard of several raw ones the parts are those (`JoinedUnit`). `decisions`: what the rules over the
    corpus drop. `fallen`: the names of committed ones that do not stand (`Standing.fallen`); None where none is
    committed. In a dry run nothing is written.
    """

    def __init__(
        self,
        config: CurateConfig,
        plan: Plan,
        store: str,
        decisions: Sequence[CorpusDecision],
        fallen: frozenset[str] | None,
        dry_run: bool,
    ) -> None:
        self.config, self.plan, self.store = config, plan, store
        self.decisions, self.fallen, self.dry_run = decisions, fallen, dry_run
        self.settings = recipe_settings(config, plan)  # here, since it may read the lists and models of rules

    def __call__(self, shard: Unit) -> Result:
        units = shard.parts if isinstance(shard, JoinedUnit) else (shard,)
        parts = [self._part(unit) for unit in units]
        if self.dry_run:
            return self._probed(parts)
        earlier = self._earlier(shard.name)
        started = time.perf_counter()
        try:
            manifest = write_unit(
                shard.name, parts, self.store, self.config, self.plan, earlier, self.decisions, self.settings
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
            "funnel": funnel.as_json(),
            "written": False,
            "size": sum(part.scores.unit.size for part in parts),
            "bytes": sum(size for size, _ in probes),
            "seconds": {WRITE: sum(seconds for _, seconds in probes)},
            "timed_pairs": funnel.kept,
        }

    def _part(self, unit: Unit) -> Part:
        scores = scores_without_looks(unit, self.plan, self.store)
        looks = looks_or_empty(scores, self.plan.looks, self.store)
        for group in self.plan.looks:
            scores = with_table(scores, group, looks[group.name])
        drops: dict[int, pa.Table] = {}
        for decision in self.decisions:
            drops.update(decision.drops(unit.name))
        return Part(scores, decide(scores, self.plan, drops))

    def _earlier(self, name: str) -> Manifest | None:
        """The manifest of a curated shard that stands."""
        if self.fallen is None or name in self.fallen:
            return None
        try:
            manifest = read_json(manifest_uri(self.store, name))
        except ValueError:  # damaged: it counts as none
            return None
        return manifest if isinstance(manifest, dict) else None
