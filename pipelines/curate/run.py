"""`loupe curate`: raw shards in, curated shards out, through Ray Data.

    A scan     every raw shard → scores and quarantine       pipelines/curate/scan.py, scores/
    B decide   scores of all shards → who stays              pipelines/curate/decide.py, corpus/
    C write    kept pairs → tar, index, status, manifest     pipelines/curate/write.py

Scores are committed for each raw shard, decisions over the corpus as a whole, curated shards one by one. Running again
skips what is committed.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_filters.errors import InputError
from pipelines.common.causes import RunFailed
from pipelines.common.files import absolute, join, remove_partials
from pipelines.common.ownership import owned
from pipelines.curate.catalogue import Catalogue
from pipelines.curate.commits import funnel_of, sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.drop_files import remove_folder
from pipelines.curate.corpus_decision import DECIDE, CorpusDecision, decide_corpus, decision_keys
from pipelines.curate.dataset_page import write_dataset
from pipelines.curate.earlier_outputs import earlier_outputs
from pipelines.curate.examples import EXAMPLES
from pipelines.curate.funnel import Funnel, add_funnels, add_to, empty_funnel, funnel_from_json
from pipelines.curate.identity import recipe_hash, recipe_settings
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.curate.look.group import is_derived
from pipelines.curate.output_shards import OutputShard, output_shards, read_groups, write_groups
from pipelines.curate.plan import Plan, make_plan
from pipelines.curate.report import write_report
from pipelines.curate.scanned import Scanned
from pipelines.curate.scores.storage import QUARANTINE, SCORES, first_quarantined, stored_groups
from pipelines.curate.standing import Standing, drop, drop_raw_shard, take_stock
from pipelines.curate.status import DECISIONS, STATUS
from pipelines.curate.summary import CurateSummary, Progress, ShardProgress, notes
from pipelines.curate.tasks import CountLacking, LookShard, ScanShard, WriteShard
from pipelines.curate.update import changed_settings, check_withdrawn
from pipelines.phrases.page import write_phrases_page
from pipelines.ray_tasks import Actors, Result, for_each, running_ray
from pipelines.shards.manifest import MANIFESTS, Manifest, each_manifest
from pipelines.shards.unit import JoinedUnit, Unit

__all__ = ["CurateSummary", "InputError", "ShardProgress", "TooManyBadSamples", "curate"]

MIB = 1024 * 1024
Say = Callable[[str], None]


class TooManyBadSamples(RunFailed):
    """More samples cannot be read than `max_bad_fraction` allows: something is wrong with the input."""


@dataclass(frozen=True)
class Options:
    """How a run goes, beside its recipe; see `curate`."""

    dry_run: bool = False
    verify: bool = False
    drop_withdrawn: bool = False
    update: bool = False
    scores: str | None = None


def curate(
    config: CurateConfig,
    input: str,
    output: str,
    *,
    dry_run: bool = False,
    verify: bool = False,
    drop_withdrawn: bool = False,
    update: bool = False,
    scores: str | None = None,
    progress: Progress | None = None,
    say: Say = print,
) -> CurateSummary:
    """Curate every shard of `input` into `output`; a dry run scans and counts, and writes nothing.

    `input` is a folder with tars, one tar, or a pattern with `*`; with manifests in the folder, only the shards that
    they name are read. Starts Ray on this machine when none runs, and stops what it started. `verify`: bytes of shards
    and of committed tars are read and compared, where otherwise size and time are. `drop_withdrawn`: what the output
    holds of shards that the input has no more is removed. `update`: an output of another recipe is brought to this one;
    scores that it holds are not computed anew, and curated shards whose kept pairs stay the same are not written.
    `scores`: an output whose scores are taken over. `say` is given sentences for people while the run goes on.

    Raises InputError before anything is written when the input or the output will not do, and TooManyBadSamples
    after the scan, with the quarantine written and nothing committed. While another process writes into `output`,
    it is refused (`pipelines.common.ownership`).
    """
    options = Options(dry_run, verify, drop_withdrawn, update, None if scores is None else absolute(scores))
    with contextlib.nullcontext() if dry_run else owned(output):
        return _curate(config, input, absolute(output), options, progress, say)


def _curate(
    config: CurateConfig, input: str, output: str, options: Options, progress: Progress | None, say: Say
) -> CurateSummary:
    """`curate` in a folder that this process owns. `output` is absolute, since a worker may run in another folder."""
    started = time.monotonic()
    plan = make_plan(config)
    units = find_units(input)
    manifests = check_output(units, input, output)
    is_other = changed_settings(output, manifests, recipe_settings(config, plan), options.update)
    catalogue = Catalogue(units, output)
    standing = take_stock(
        units, manifests, output, verify=options.verify, write=not options.dry_run, catalogue=catalogue
    )
    if not options.drop_withdrawn:
        check_withdrawn(output, manifests, standing.withdrawn, recipe_hash(config, plan))
    if config.phrases:
        config.phrases.load()  # a parser that is not installed is reported here in one line, not from a worker
    if not standing.committed:
        require_pairs(units, input)
    if not options.dry_run:
        _tidy(output)
        if options.drop_withdrawn:
            _drop_withdrawn(standing, manifests, output)
    del manifests  # of which `standing` holds what counts
    run = _Run(config, plan, units, standing, output, options, progress, say, catalogue)
    new = run.phases(is_other)
    seconds = time.monotonic() - started
    if options.dry_run:
        earlier = (funnel_of(manifest) for manifest in run.untouched())
        funnel, report = add_funnels(itertools.chain(earlier, [new]), plan), None
    else:
        # The report counts what is committed, not what this process has counted.
        totals = sum_commits((manifest for _, manifest in each_manifest(output)), plan)
        funnel = totals.funnel
        if config.phrases:
            write_phrases_page(output)
        write_dataset(output, totals, plan, config)
        report = write_report(output, input, config, funnel, recipe_hash(config, plan))
    return CurateSummary(
        output=output,
        config_hash=recipe_hash(config, plan),
        dry_run=options.dry_run,
        shards=len(units),
        shards_skipped=len(units) - run.worked_on,
        funnel=funnel,
        shards_changed=standing.changed,
        shards_rewritten=standing.damaged,
        shards_withdrawn=standing.withdrawn,
        tars_written=run.tars_written,
        notes=notes(funnel, standing, options.drop_withdrawn, options.dry_run),
        seconds=seconds,
        pairs_per_second=new.pairs / seconds if seconds > 0 else 0.0,
        report=report,
    )


def _tidy(output: str) -> None:
    """Remove the temporary files that killed processes left: once for all shards, a folder's listing being long."""
    scores_of = [f"{SCORES}/{group}" for group in stored_groups(output)]
    for folder in ("", *scores_of, QUARANTINE, DECISIONS, STATUS, EXAMPLES, MANIFESTS):
        remove_partials(join(output, folder))


def _drop_withdrawn(standing: Standing, manifests: Mapping[str, Manifest], output: str) -> None:
    """Remove what the output holds of raw shards that are gone; a curated shard with others left is written anew."""
    gone = set(standing.withdrawn)
    for name, manifest in manifests.items():
        if gone & {part["name"] for part in manifest["inputs"]}:
            drop(name, manifest, output)
    for name in sorted(gone):
        drop_raw_shard(name, output)


class _Run:
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
        """
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
        if not self.options.dry_run:
            _tidy(self.output)
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
        return decide_corpus(
            plan, self.config, scanned.shards(), store, earlier=earlier, against=self.against
        )

    def _total(self, new: Funnel) -> Funnel:
        """The funnel of what was worked on and of the commits that need no look."""
        return add_funnels(itertools.chain(map(funnel_of, self.untouched()), [new]), self.plan)

    def _look(self, todo: list[Unit], decision: CorpusDecision | None, store: str) -> Funnel:
        """Phase L: says how many pairs each look group still has to look at, then looks."""
        count = CountLacking(self.plan, store, decision, self._elsewhere())
        lacking: Counter[str] = Counter()
        add = lambda unit, result: lacking.update(result["lacking"])  # noqa: E731
        for_each(count, todo, self.config.workers, add, keep_results=False)
        for group in self.plan.looks:
            if not is_derived(group):
                self.say(f"{group.name}: looks at {lacking[group.name]:,} pairs")
        look_shard = LookShard(self.plan, store, decision, self._elsewhere(), self.config.look.batch_size)
        looked = empty_funnel(self.plan)
        tell = self._teller("look", len(todo), lambda _, result: _add_result(looked, result))
        for_each(look_shard, todo, self.config.workers, tell, keep_results=False, actors=self._actors())
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
        target = None if self.config.shard_size is None else self.config.shard_size * MIB
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

        units = [_as_unit(shard) for shard in shards]
        tell = self._teller("write", len(units), add)
        for_each(write_shard, units, self.config.workers, tell, keep_results=False)
        return written

    def _check_bad_fraction(self, funnel: Funnel, units: Sequence[Unit]) -> None:
        if funnel.quarantined > self.config.max_bad_fraction * funnel.samples:
            output = None if self.options.dry_run else self.output
            reasons = ", ".join(f"{reason} {count}" for reason, count in funnel.quarantine.items())
            about = " (estimated)" if funnel.estimated else ""
            first = first_quarantined(units, output) if output else None
            example = f"; the first is {first}" if first else ""
            where = f"{example}; see {output}/quarantine/*.parquet" if output else ""
            raise TooManyBadSamples(
                f"{funnel.quarantined} of {funnel.samples} samples{about} cannot be read ({reasons}), more than "
                f"max_bad_fraction {self.config.max_bad_fraction}{where}; mend the shards or raise max_bad_fraction"
            )

    def _teller(
        self, phase: str, total: int, add: Callable[[Unit, Result], None]
    ) -> Callable[[Unit, Result], None]:
        """What `for_each` calls for each shard that ends: adds its result to a sum, and passes its progress on."""
        done = 0

        def tell(unit: Unit, result: Result) -> None:
            nonlocal done
            done += 1
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
