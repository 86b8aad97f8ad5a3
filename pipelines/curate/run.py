"""`loupe curate`: raw shards in, curated shards out, through Ray Data.

    A scan     every raw shard → scores and quarantine       pipelines/curate/scan.py, scores/
    B decide   scores of all shards → who stays              pipelines/curate/decide.py, corpus/
    C write    kept pairs → tar, index, status, manifest     pipelines/curate/write.py

Scores are committed for each raw shard, decisions over the corpus as a whole, curated shards one by one. Running again
skips what is committed.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from data_filters.errors import InputError
from pipelines.common.causes import RunFailed
from pipelines.common.files import absolute, join, remove_partials
from pipelines.common.ownership import owned
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.drop_files import remove_folder
from pipelines.curate.corpus_decision import DECIDE, CorpusDecision, Shards, decide_corpus, decision_keys
from pipelines.curate.cost import DECIDED, sum_costs
from pipelines.curate.dataset_page import write_dataset
from pipelines.curate.dry_run import estimate_run
from pipelines.curate.earlier_outputs import earlier_outputs
from pipelines.curate.examples import EXAMPLES
from pipelines.curate.funnel import Funnel, add_funnels, funnel_from_json
from pipelines.curate.identity import recipe_hash, recipe_settings
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.curate.look.group import is_derived
from pipelines.curate.no_verdict import write_no_verdict
from pipelines.curate.output_shards import OutputShard, output_shards, read_groups, write_groups
from pipelines.curate.pilot import PILOT, PilotShard, pilot_units
from pipelines.curate.plan import Plan, make_plan
from pipelines.curate.plan_words import plan_words
from pipelines.curate.report import found_in, write_report
from pipelines.curate.rule_notes import read_rule_notes, rule_notes, write_rule_notes
from pipelines.curate.scores.storage import QUARANTINE, SCORES, first_quarantined, stored_groups
from pipelines.curate.standing import Standing, drop, drop_raw_shard, take_stock
from pipelines.curate.status import DECISIONS, STATUS
from pipelines.curate.summary import CurateSummary, Progress, ShardProgress, notes
from pipelines.curate.tasks import CountLacking, LookShard, ScanShard, WriteShard
from pipelines.curate.update import changed_settings, check_withdrawn
from pipelines.phrases.page import write_phrases_page
from pipelines.ray_tasks import Actors, Result, for_each, running_ray
from pipelines.shards.manifest import MANIFESTS, Manifest, read_manifests
from pipelines.shards.unit import Unit

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
    pilot: int = PILOT


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
    pilot: int = PILOT,
    progress: Progress | None = None,
    say: Say = print,
) -> CurateSummary:
    """Curate every shard of `input` into `output`; a dry run scans and counts, and writes nothing.

    `input` is a folder with tars, one tar, or a pattern with `*`; with manifests in the folder, only the shards that
    they name are read. Starts Ray on this machine when none runs, and stops what it started. `verify`: bytes of shards
    and of committed tars are read and compared, where otherwise size and time are. `drop_withdrawn`: what the output
    holds of shards that the input has no more is removed. `update`: an output of another recipe is brought to this one;
    scores that it holds are not computed anew, and curated shards whose kept pairs stay the same are not written.
    `scores`: an output whose scores are taken over. `pilot`: the raw shards at which a dry run looks, drawn with a
    fixed seed where there are more; it then estimates what all would give. `say` is given sentences for people while
    the run goes on.

    Raises InputError before anything is written when the input or the output will not do, and TooManyBadSamples
    after the scan, with the quarantine written and nothing committed. While another process writes into `output`,
    it is refused (`pipelines.common.ownership`).
    """
    options = Options(
        dry_run, verify, drop_withdrawn, update, None if scores is None else absolute(scores), pilot
    )
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
    standing = take_stock(units, manifests, output, verify=options.verify, write=not options.dry_run)
    if not options.drop_withdrawn:
        check_withdrawn(output, manifests, standing.withdrawn, recipe_hash(config, plan))
    if config.phrases:
        config.phrases.load()  # a parser that is not installed is reported here in one line, not from a worker
    if not standing.committed:
        require_pairs(units, input)
    if not options.dry_run:
        scores_of = [f"{SCORES}/{group}" for group in stored_groups(output)]
        for folder in ("", *scores_of, QUARANTINE, DECISIONS, STATUS, EXAMPLES, MANIFESTS):
            remove_partials(join(output, folder))
        if options.drop_withdrawn:
            _drop_withdrawn(standing, manifests, output)
    all_units = units
    if options.dry_run and len(units) > options.pilot:
        units, standing = pilot_units(units, options.pilot), Standing()
    run = _Run(config, plan, units, standing, output, options, progress, say)
    new = run.phases(is_other)
    seconds = time.monotonic() - started
    if options.dry_run:
        earlier = [funnel_from_json(manifest["funnel"]) for manifest in run.untouched(is_other)]
        funnel, report = add_funnels([*earlier, *new], plan), None
    else:
        # The report counts what is committed, not what this process has counted.
        manifests = read_manifests(output, skip_damaged=True)
        funnel = add_funnels(
            (funnel_from_json(manifests[name]["funnel"]) for name in sorted(manifests)), plan
        )
        if config.phrases:
            write_phrases_page(output)
        write_dataset(output, manifests, plan, config)
        found = found_in(output, manifests, plan, funnel, sum_costs(run.timed))
        report = write_report(output, input, config, funnel, recipe_hash(config, plan), found)
    return CurateSummary(
        output=output,
        config_hash=recipe_hash(config, plan),
        dry_run=options.dry_run,
        shards=len(all_units),
        shards_skipped=len(units) - run.worked_on,
        funnel=funnel,
        shards_changed=standing.changed,
        shards_rewritten=standing.damaged,
        shards_withdrawn=standing.withdrawn,
        tars_written=run.tars_written,
        notes=[
            *notes(funnel, standing, options.drop_withdrawn, options.dry_run, run.damaged_scores()),
            *run.rule_notes,
        ],
        seconds=seconds,
        pairs_per_second=sum(shard.pairs for shard in new) / seconds if seconds > 0 else 0.0,
        report=report,
        costs=[asdict(cost) for cost in sum_costs(run.timed)],
        plan=plan_words(plan) if options.dry_run else None,
        estimate=estimate_run(all_units, units, run.pilot, run.untouched(is_other), run.timed, plan)
        if options.dry_run
        else None,
    )


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
        say: Say,
    ) -> None:
        self.config, self.plan, self.units, self.standing = config, plan, units, standing
        self.output, self.options, self.progress, self.say = output, options, progress, say
        self.against = earlier_outputs(config.against, plan)
        self.worked_on = 0  # raw shards
        self.tars_written = 0
        self.rule_notes = read_rule_notes(output)
        self.pilot: list[PilotShard] = []
        self.timed: list[Result] = []  # what tasks say of their cost

    def damaged_scores(self) -> list[str]:
        """The files of scores that could not be read and were written anew."""
        return [name for result in self.timed for name in result.get("damaged", ())]

    def untouched(self, is_other: bool) -> list[Manifest]:
        """The commits that this run need not look at."""
        return [] if self._looks_at_all(is_other) else list(self.standing.committed.values())

    def _looks_at_all(self, is_other: bool) -> bool:
        """Whether committed shards may have to change: another recipe, or a rule over a corpus that has changed.

        A killed run leaves commits of two decisions; withdrawn shards leave commits of one that counts them.
        """
        committed = self.standing.committed.values()
        if is_other or any(manifest.get("decisions") is None for manifest in committed):
            return True
        if not self.plan.corpus_steps():
            return False
        covered = self.standing.covered
        if any(unit.name not in covered for unit in self.units):
            return True
        expected = self._expected_decisions()
        return any(manifest.get("decisions") != expected for manifest in committed)

    def _expected_decisions(self) -> list[str]:
        """The decisions that rules over the corpus make about the raw shards as they are committed."""
        parts = {
            part["name"]: part for manifest in self.standing.committed.values() for part in manifest["inputs"]
        }
        shards = Shards(
            tuple(unit.name for unit in self.units),
            tuple(str(parts[unit.name]["sha256"]) for unit in self.units),
            tuple(int(parts[unit.name]["rows"]) for unit in self.units),
        )
        return decision_keys(self.plan, self.config, shards, self.against)

    def phases(self, is_other: bool) -> list[Funnel]:
        """Scan, decide and write; in a dry run nothing is written. Returns the funnels of what was worked on.

        Raises TooManyBadSamples between the scan and the decision.
        """
        everything = self._looks_at_all(is_other)
        covered = set() if everything else self.standing.covered
        todo = [unit for unit in self.units if unit.name not in covered]
        self.worked_on = len(todo)
        if not todo:
            self._check_bad_fraction(self._total((), is_other), [])
            return []
        with running_ray(self.config.workers), self._store() as store:
            scanned = self._scan(todo, store)
            self.timed += scanned.values()
            self._check_bad_fraction(self._total(scanned.values(), is_other), todo)
            decisions: list[CorpusDecision] = []
            early = self.plan.before_look
            if early.corpus_steps():
                decisions.append(self._decide(early, scanned, store))
            if self.plan.looks:
                looked = self._look(todo, decisions[0] if decisions else None, store)
                self.timed += looked
                self._check_bad_fraction(self._total(looked, is_other), todo)
                if self.plan.corpus_steps(len(early.steps)):
                    earlier = decisions[0] if decisions else None
                    decisions.append(self._decide(self.plan, scanned, store, earlier))
            funnels = self._write(todo, scanned, decisions, store)
        self.rule_notes = rule_notes(self.plan, decisions)
        if not self.options.dry_run:
            write_rule_notes(self.output, self.rule_notes)
            write_no_verdict(self.output, self.plan, decisions)
            remove_folder(join(self.output, DECIDE))  # what it says stands in decisions/ and status/ now
        return funnels

    def _decide(
        self, plan: Plan, scanned: Mapping[str, Result], store: str, earlier: CorpusDecision | None = None
    ) -> CorpusDecision:
        """Phase B for the rules over the corpus that have not run yet."""
        started = time.perf_counter()
        shards = _shards(scanned)
        decision = decide_corpus(plan, self.config, shards, store, earlier=earlier, against=self.against)
        seconds = {DECIDED: time.perf_counter() - started}
        self.timed.append({"seconds": seconds, "timed_pairs": sum(shards.rows)})
        return decision

    def _total(self, results: Iterable[Result], is_other: bool) -> Funnel:
        """The funnel of what was worked on and of the commits that need no look."""
        earlier = [funnel_from_json(manifest["funnel"]) for manifest in self.untouched(is_other)]
        return add_funnels([*earlier, *(funnel_from_json(result["funnel"]) for result in results)], self.plan)

    def _look(self, todo: list[Unit], decision: CorpusDecision | None, store: str) -> list[Result]:
        """Phase L: says how many pairs each look group still has to look at, then looks."""
        count = CountLacking(self.plan, store, decision, self._elsewhere())
        lacking: Counter[str] = Counter()
        for result in for_each(count, todo, self.config.workers, lambda unit, result: None):
            lacking.update(result["lacking"])
        for group in self.plan.looks:
            if not is_derived(group):
                self.say(f"{group.name}: looks at {lacking[group.name]:,} pairs")
        look_shard = LookShard(self.plan, store, decision, self._elsewhere(), self.config.look.batch_size)
        return for_each(
            look_shard, todo, self.config.workers, self._teller("look", len(todo)), actors=self._actors()
        )

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

    def _scan(self, todo: list[Unit], store: str) -> dict[str, Result]:
        scan_shard = ScanShard(self.plan, store, self.options.verify, self._elsewhere())
        results = for_each(scan_shard, todo, self.config.workers, self._teller("scan", len(todo)))
        return {unit.name: result for unit, result in zip(todo, results, strict=True)}

    def _write(
        self, todo: list[Unit], scanned: Mapping[str, Result], decisions: list[CorpusDecision], store: str
    ) -> list[Funnel]:
        size = None if self.options.dry_run else self.config.shard_size  # a dry run counts each raw shard
        target = None if size is None else size * MIB
        fixed = [] if target is None else read_groups(self.output)
        kept_bytes = {name: int(result["kept_bytes"]) for name, result in scanned.items()}
        shards = output_shards(self.units, kept_bytes, target, fixed)
        if target is not None and not self.options.dry_run:
            write_groups(self.output, shards)
        names = {unit.name for unit in todo}
        shards = [shard for shard in shards if names & {unit.name for unit in shard.units}]
        write_shard = WriteShard(
            self.config,
            self.plan,
            store,
            {shard.name: shard for shard in shards if len(shard.units) > 1},
            decisions,
            frozenset(self.standing.committed),
            self.options.dry_run,
        )
        results = for_each(
            write_shard,
            [_as_unit(shard) for shard in shards],
            self.config.workers,
            self._teller("write", len(shards)),
        )
        self.timed += results
        self.pilot = [
            PilotShard(result["size"], result["funnel"]["pairs"], result["funnel"]["kept"], result["bytes"])
            for result in results
            if self.options.dry_run
        ]
        self.tars_written = sum(bool(result["written"]) for result in results)
        return [funnel_from_json(result["funnel"]) for result in results]

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

    def _teller(self, phase: str, total: int) -> Callable[[Unit, Result], None]:
        """What `for_each` calls for each shard that ends: passes its progress on."""
        done = 0

        def tell(unit: Unit, result: Result) -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                funnel = result["funnel"]
                self.progress(ShardProgress(phase, unit.shard, done, total, funnel["pairs"], funnel["kept"]))

        return tell


def _shards(scanned: Mapping[str, Result]) -> Shards:
    """What rules over the corpus need to know of the raw shards, in their order."""
    return Shards(
        tuple(scanned),
        tuple(str(result["sha256"]) for result in scanned.values()),
        tuple(int(result["rows"]) for result in scanned.values()),
    )


def _as_unit(shard: OutputShard) -> Unit:
    """A curated shard as `for_each` passes it on: by its name; the bytes are those of its raw shards."""
    return Unit(shard.name, shard.units[0].uri, sum(unit.size for unit in shard.units))
