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
import time
from collections.abc import Mapping
from dataclasses import asdict

from data_filters.errors import InputError
from pipelines.common.files import absolute
from pipelines.common.ownership import owned
from pipelines.curate.bad_fraction import TooManyBadSamples
from pipelines.curate.catalogue import Catalogue
from pipelines.curate.commits import funnel_of, sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.dataset_page import write_dataset
from pipelines.curate.dry_run import estimate_run
from pipelines.curate.funnel import add_funnels
from pipelines.curate.identity import recipe_hash, recipe_settings
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.curate.leftovers import remove_leftovers
from pipelines.curate.phases import Options, Phases, Say
from pipelines.curate.pilot import PILOT, pilot_units
from pipelines.curate.plan import make_plan
from pipelines.curate.plan_words import plan_words
from pipelines.curate.report import found_in, write_report
from pipelines.curate.rule_counts import counted_notes
from pipelines.curate.standing import Standing, drop, drop_raw_shard, take_stock
from pipelines.curate.summary import CurateSummary, Progress, ShardProgress, notes
from pipelines.curate.update import changed_settings, check_withdrawn
from pipelines.phrases.page import write_phrases_page
from pipelines.shards.manifest import Manifest, each_manifest

__all__ = ["CurateSummary", "InputError", "ShardProgress", "TooManyBadSamples", "curate"]


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
    catalogue: Catalogue | None = Catalogue(units, output)
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
        remove_leftovers(output)
        if options.drop_withdrawn:
            _drop_withdrawn(standing, manifests, output)
    del manifests  # of which `standing` holds what counts
    all_units = units
    if options.dry_run and len(units) > options.pilot:
        units, standing, catalogue = pilot_units(units, options.pilot), Standing(), None
    run = Phases(config, plan, units, standing, output, options, progress, say, catalogue)
    new = run.phases(is_other)
    seconds = time.monotonic() - started
    if options.dry_run:
        earlier = (funnel_of(manifest) for manifest in run.untouched())
        funnel, report = add_funnels(itertools.chain(earlier, [new]), plan), None
        counted: list[str] = []
    else:
        # The report counts what is committed, not what this process has counted.
        totals = sum_commits((manifest for _, manifest in each_manifest(output)), plan)
        funnel = totals.funnel
        counted = counted_notes(plan, totals.rule_counts)
        if config.phrases:
            write_phrases_page(output)
        write_dataset(output, totals, plan, config)
        found = found_in(output, totals, plan, run.costs.listed(), config.examples)
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
            *notes(funnel, standing, options.drop_withdrawn, options.dry_run, run.costs.damaged),
            *run.rule_notes,
            *counted,
        ],
        seconds=seconds,
        pairs_per_second=new.pairs / seconds if seconds > 0 else 0.0,
        report=report,
        costs=[asdict(cost) for cost in run.costs.listed()],
        plan=plan_words(plan) if options.dry_run else None,
        estimate=estimate_run(all_units, units, run.pilot, run.untouched(), run.costs.listed(), plan)
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
