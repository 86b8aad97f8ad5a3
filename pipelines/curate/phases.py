"""The phases of one run: scan, decide, look, decide again, write."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.common.files import join
from pipelines.curate.bad_fraction import check_bad_fraction
from pipelines.curate.catalogue import Catalogue
from pipelines.curate.commits import funnel_of
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.drop_files import remove_folder
from pipelines.curate.corpus_decision import DECIDE, CorpusDecision, decide_corpus, decision_keys
from pipelines.curate.cost import DECIDED, Costs
from pipelines.curate.earlier_outputs import earlier_outputs
from pipelines.curate.funnel import Funnel, add_funnels, add_to, empty_funnel, funnel_from_json
from pipelines.curate.leftovers import remove_leftovers
from pipelines.curate.look.group import is_derived, reads_of
from pipelines.curate.no_verdict import write_no_verdict
from pipelines.curate.output_shards import OutputShard, output_shards, read_groups, write_groups
from pipelines.curate.pilot import PILOT, PilotShard
from pipelines.curate.plan import Plan
from pipelines.curate.rule_notes import read_rule_notes, rule_notes, write_rule_notes
from pipelines.curate.scanned import Scanned
from pipelines.curate.standing import Standing
from pipelines.curate.summary import Progress, ShardProgress
from pipelines.curate.tasks import CountLacking, LookShard, ScanShard, WriteShard
from pipelines.ray_tasks import Actors, Result, for_each, running_ray
from pipelines.shards.manifest import Manifest
from pipelines.shards.unit import JoinedUnit, Unit

MIB = 1024 * 1024
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a run goes, beside its recipe; see `curate`."""

    dry_run: bool = False
    verify: bool = False
    drop_withdrawn: bool = False
    update: bool = False
    scores: str | None = None
    pilot: int = PILOT


class Phases:
    """The phases of one run."""

    def __init__(
        self,
        config: CurateConfig,
        plan: Plan,
        units: list[Unit],
        standing: Standing,
        output: str,
        options: Options,
        progress: Progress | None,
        say: Say = print,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.config, self.plan, self.units, self.standing = config, plan, units, standing
        self.catalogue = catalogue
        self.output, self.options, self.progress, self.say = output, options, progress, say
        self.against = earlier_outputs(config.against, plan)
        self.everything = False  # whether commits are looked at as well
        self.worked_on = 0  # raw shards
        self.tars_written = 0
        self.rule_notes = read_rule_notes(output)
        self.pilot: list[PilotShard] = []
        self.costs = Costs()

    def untouched(self) -> list[Manifest]:
        """The commits that this run need not look at."""
        return [] if self.everything else list(self.standing.committed.values())

    def _has_other_decisions(self, scanned: Scanned) -> bool:
        """Whether some commit was made by another decision than that about the raw shards as they are now.

        A killed run leaves commits of two decisions; withdrawn shards leave commits of one that counts them.
        """
        expected = decision_keys(self.plan, self.config, scanned.shards(), self.against)
        return any(manifest.get("decisions") != expected for manifest in self.standing.committed.values())

    def todo(self, is_other: bool) -> list[Unit]:
        """The raw shards to work on, as far as that is known before any is scanned.

        All where committed shards may have to change: by another recipe, or rules over a corpus that has changed.
        A commit whose files were being brought to another recipe when its run was killed has no decisions.
        """
        is_other = is_other or any(
            manifest.get("decisions") is None for manifest in self.standing.committed.values()
        )
        covered = self.standing.covered
        lost = [unit for unit in self.units if unit.name not in covered]
        self.everything = is_other
        if not is_other and covered and self.plan.corpus_steps():
            self.everything = self.options.dry_run and bool(lost)  # scores of commits are not in its store
            if not lost:
                self.everything = self._has_other_decisions(self._with_commits(Scanned([], self.plan)))
        return self.units if self.everything else lost

    def _with_commits(self, scanned: Scanned) -> Scanned:
        return scanned.with_commits(self.units, self.standing.committed.values(), self.plan)

    def phases(self, is_other: bool) -> Funnel:
        """Scan, decide and write; in a dry run nothing is written. Returns the funnel of what was worked on.

        Raises TooManyBadSamples between the scan and the decision.
        """
        todo = self.todo(is_other)
        self.worked_on = len(todo)
        if not todo:
            self._note(None)
            self._check_bad_fraction(self._total(empty_funnel(self.plan)), [])
            return empty_funnel(self.plan)
        with running_ray(self.config.workers), self._store() as store:
            scanned = self._scan(todo, store)
            if not self.everything and self.standing.committed and self.plan.corpus_steps():
                whole = self._with_commits(scanned)
                self.everything = self._has_other_decisions(whole)
                todo = self.units if self.everything else todo
                self.worked_on = len(todo)
                scanned = self._scan(todo, store) if self.everything else whole
            self._check_bad_fraction(self._total(scanned.funnel), todo)
            self._note(scanned)
            decisions: list[CorpusDecision] = []
            early = self.plan.before_look
            if early.corpus_steps():
                decisions.append(self._decide(early, scanned, store))
            if self.plan.looks:
                looked = self._look(todo, decisions[0] if decisions else None, store)
                self._check_bad_fraction(self._total(looked), todo)
                if self.plan.corpus_steps(len(early.steps)):
                    earlier = decisions[0] if decisions else None
                    decisions.append(self._decide(self.plan, scanned, store, earlier))
            funnel = self._write(todo, scanned, decisions, store)
        self.rule_notes = rule_notes(self.plan, decisions)
        if not self.options.dry_run:
            remove_leftovers(self.output)
            write_rule_notes(self.output, self.rule_notes)
            write_no_verdict(self.output, self.plan, decisions)
            remove_folder(join(self.output, DECIDE))  # what it says stands in decisions/ and status/ now
        return funnel

    def _note(self, scanned: Scanned | None) -> None:
        """Write the catalogue: of the raw shards that were scanned now, and of those whose commits stand."""
        if self.options.dry_run or self.catalogue is None:
            return
        known = {
            part["name"]: part["sha256"]
            for manifest in self.standing.committed.values()
            for part in manifest["inputs"]
        }
        self.catalogue.write(
            lambda name: scanned.sha256(name) if scanned is not None and name in scanned else known.get(name)
        )

    def _decide(
        self, plan: Plan, scanned: Scanned, store: str, earlier: CorpusDecision | None = None
    ) -> CorpusDecision:
        """Phase B for the rules over the corpus that have not run yet."""
        started = time.perf_counter()
        shards = scanned.shards()
        decision = decide_corpus(plan, self.config, shards, store, earlier=earlier, against=self.against)
        self.costs.add({"seconds": {DECIDED: time.perf_counter() - started}, "timed_pairs": sum(shards.rows)})
        return decision

    def _total(self, new: Funnel) -> Funnel:
        """The funnel of what was worked on and of the commits that need no look."""
        return add_funnels(itertools.chain(map(funnel_of, self.untouched()), [new]), self.plan)

    def _look(self, todo: list[Unit], decision: CorpusDecision | None, store: str) -> Funnel:
        """Phase L: says how many pairs each look group still has to look at, then looks."""
        count = CountLacking(self.plan, store, decision, self._elsewhere())
        lacking: Counter[str] = Counter()

        def add(_: Unit, result: Result) -> None:
            lacking.update(result["lacking"])

        for_each(count, todo, self.config.workers, add, keep_results=False)
        for group in self.plan.looks:
            if not is_derived(group):
                most = "at most " if reads_of(group, self.plan.looks) else ""
                self.say(f"{group.name}: looks at {most}{lacking[group.name]:,} pairs")
        look_shard = LookShard(self.plan, store, decision, self._elsewhere(), self.config.look.batch_size)
        looked = empty_funnel(self.plan)
        tell = self._teller("look", len(todo), lambda _, result: _add_result(looked, result))
        actors = (
            self._actors() if lacking.total() else None
        )  # which load models, and need not where nothing lacks
        for_each(look_shard, todo, self.config.workers, tell, keep_results=False, actors=actors)
        return looked

    def _actors(self) -> Actors:
        """The pool of phase L."""
        import ray

        size = self.config.look.workers or self.config.workers
        return Actors(size or max(1, int(ray.cluster_resources().get("CPU", 1))), self.config.look.gpus)

    def _elsewhere(self) -> str | None:
        """Another output whose scores are taken over."""
        return self.options.scores or (self.output if self.options.dry_run else None)

    @contextlib.contextmanager
    def _store(self) -> Iterator[str]:
        """The folder that takes the scores: the output, or in a dry run one that is removed at the end."""
        if not self.options.dry_run:
            yield self.output
            return
        with tempfile.TemporaryDirectory(prefix="loupe-dry-run-") as folder:
            yield folder

    def _scan(self, todo: list[Unit], store: str) -> Scanned:
        scan_shard = ScanShard(self.plan, store, self.options.verify, self._elsewhere())
        scanned = Scanned(todo, self.plan)
        tell = self._teller("scan", len(todo), scanned.add)
        for_each(scan_shard, todo, self.config.workers, tell, keep_results=False)
        return scanned

    def _write(
        self, todo: list[Unit], scanned: Scanned, decisions: list[CorpusDecision], store: str
    ) -> Funnel:
        size = None if self.options.dry_run else self.config.shard_size  # a dry run counts each raw shard
        target = None if size is None else size * MIB
        fixed = [] if target is None else read_groups(self.output)
        shards = output_shards(self.units, scanned, target, fixed)
        if target is not None and not self.options.dry_run:
            write_groups(self.output, shards)
        names = {unit.name for unit in todo}
        shards = [shard for shard in shards if names & {unit.name for unit in shard.units}]
        write_shard = WriteShard(
            self.config,
            self.plan,
            store,
            decisions,
            frozenset(self.standing.fallen) if self.standing.committed else None,
            self.options.dry_run,
        )
        written = empty_funnel(self.plan)

        def add(_: Unit, result: Result) -> None:
            _add_result(written, result)
            self.tars_written += bool(result["written"])
            if self.options.dry_run:
                counts = result["funnel"]
                self.pilot.append(
                    PilotShard(result["size"], counts["pairs"], counts["kept"], result["bytes"])
                )

        units = [_as_unit(shard) for shard in shards]
        tell = self._teller("write", len(units), add)
        for_each(write_shard, units, self.config.workers, tell, keep_results=False)
        return written

    def _check_bad_fraction(self, funnel: Funnel, units: Sequence[Unit]) -> None:
        check_bad_fraction(
            funnel, self.config.max_bad_fraction, units, None if self.options.dry_run else self.output
        )

    def _teller(
        self, phase: str, total: int, add: Callable[[Unit, Result], None]
    ) -> Callable[[Unit, Result], None]:
        """What `for_each` calls for each shard that ends: adds its result to a sum, and passes its progress on."""
        done = 0

        def tell(unit: Unit, result: Result) -> None:
            nonlocal done
            done += 1
            self.costs.add(result)
            add(unit, result)
            if self.progress is not None:
                funnel = result["funnel"]
                self.progress(ShardProgress(phase, unit.shard, done, total, funnel["pairs"], funnel["kept"]))

        return tell


def _add_result(total: Funnel, result: Result) -> None:
    add_to(total, funnel_from_json(result["funnel"]))


def _as_unit(shard: OutputShard) -> Unit:
    """A curated shard as `for_each` passes it on: by its name; the bytes are those of its raw shards."""
    uri, size = shard.units[0].uri, sum(unit.size for unit in shard.units)
    if len(shard.units) > 1:
        return JoinedUnit(shard.name, uri, size, shard.units)
    return Unit(shard.name, uri, size)
