"""`loupe curate`: raw shards in, curated shards out, through Ray Data.

    A scan     every raw shard → sidecar and quarantine      pipelines/curate/scan.py, sidecar.py
    B decide   stored scores against the recipe's limits     pipelines/curate/decide.py
    C write    kept pairs → tar, index, manifest             pipelines/curate/write.py

One raw shard is one task and one unit of commit. Running again skips what is committed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from data_filters.errors import InputError
from data_filters.sample import BrokenSample
from pipelines.common.causes import RunFailed
from pipelines.common.config import config_hash
from pipelines.common.files import absolute, join, remove_partials
from pipelines.common.ownership import owned
from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import Decision, decide
from pipelines.curate.examples import EXAMPLES
from pipelines.curate.funnel import Funnel, add_funnels, funnel_from_json
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.curate.report import write_report
from pipelines.curate.scan import Scanned, scan
from pipelines.curate.sidecar import QUARANTINE, SCAN, first_quarantined, load_scan, save_scan
from pipelines.curate.standing import drop, take_stock
from pipelines.curate.summary import CurateSummary, Progress, ShardProgress, notes
from pipelines.curate.write import write_unit
from pipelines.phrases.page import write_phrases_page
from pipelines.ray_tasks import Result, for_each, running_ray
from pipelines.shards.manifest import MANIFESTS, check_same_config, read_manifests
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.unit import Unit
from pipelines.shards.witness import ShardChanged, check_unchanged

__all__ = ["CurateSummary", "InputError", "ShardProgress", "TooManyBadSamples", "curate"]


class TooManyBadSamples(RunFailed):
    """More samples cannot be read than `max_bad_fraction` allows: something is wrong with the input."""


def curate(
    config: CurateConfig,
    input: str,
    output: str,
    *,
    dry_run: bool = False,
    verify: bool = False,
    drop_withdrawn: bool = False,
    progress: Progress | None = None,
) -> CurateSummary:
    """Curate every shard of `input` into `output`; a dry run scans and counts, and writes nothing.

    `input` is a folder with tars, one tar, or a pattern with `*`; with manifests in the folder, only the shards that
    they name are read. Starts Ray on this machine when none runs, and stops what it started. `verify`: bytes of shards
    and of committed tars are read and compared, where otherwise size and time are. `drop_withdrawn`: what the output
    holds of shards that the input has no more is removed.

    Raises InputError before anything is written when the input or the output will not do, and TooManyBadSamples
    after the scan, with the quarantine written and nothing committed. While another process writes into `output`,
    it is refused (`pipelines.common.ownership`).
    """
    with contextlib.nullcontext() if dry_run else owned(output):
        return _curate(config, input, output, dry_run, verify, drop_withdrawn, progress)


def _curate(
    config: CurateConfig,
    input: str,
    output: str,
    dry_run: bool,
    verify: bool,
    drop_withdrawn: bool,
    progress: Progress | None,
) -> CurateSummary:
    """`curate` in a folder that this process owns."""
    started = time.monotonic()
    output = absolute(output)  # a Ray worker may run in another folder
    units = find_units(input)
    manifests = check_output(units, input, output)
    check_same_config(output, manifests, config)
    standing = take_stock(units, manifests, output, verify=verify, write=not dry_run)
    committed = standing.committed
    if config.phrases:
        config.phrases.load()  # a parser that is not installed is reported here in one line, not from a worker
    todo = [unit for unit in units if unit.name not in committed]
    if not committed:
        require_pairs(units, input)
    if not dry_run:
        for folder in ("", SCAN, QUARANTINE, EXAMPLES, MANIFESTS):
            remove_partials(join(output, folder))
    if drop_withdrawn and not dry_run:
        for name in standing.withdrawn:
            drop(name, manifests[name], output)
    earlier = [funnel_from_json(committed[unit.name]["funnel"]) for unit in units if unit.name in committed]
    new = _run_phases(todo, earlier, config, None if dry_run else output, progress, verify)
    seconds = time.monotonic() - started
    funnel, report = add_funnels([*earlier, *new], config), None
    if not dry_run:
        # The report counts what is committed, not what this process has counted.
        manifests = read_manifests(output, skip_damaged=True)
        funnel = add_funnels(
            (funnel_from_json(manifests[name]["funnel"]) for name in sorted(manifests)), config
        )
        if config.phrases:
            write_phrases_page(output)
        report = write_report(output, input, config, funnel)
    return CurateSummary(
        output=output,
        config_hash=config_hash(config),
        dry_run=dry_run,
        shards=len(units),
        shards_skipped=len(units) - len(todo),
        funnel=funnel,
        shards_changed=standing.changed,
        shards_rewritten=standing.damaged,
        shards_withdrawn=standing.withdrawn,
        notes=notes(funnel, standing.changed, standing.damaged, standing.withdrawn, drop_withdrawn, dry_run),
        seconds=seconds,
        pairs_per_second=sum(shard.pairs for shard in new) / seconds if seconds > 0 else 0.0,
        report=report,
    )


def _run_phases(
    todo: list[Unit],
    earlier: list[Funnel],
    config: CurateConfig,
    output: str | None,
    progress: Progress | None,
    verify: bool,
) -> list[Funnel]:
    """Scan the shards, then write them; without an output only scan. Returns the funnel of each shard.

    `earlier`: the funnels of the shards that are committed. Raises TooManyBadSamples between the two phases.
    """
    with running_ray(config.workers) if todo else contextlib.nullcontext():
        scan_shard = _ScanShard(config, output, verify)
        scanned = for_each(scan_shard, todo, config.workers, _teller(progress, "scan", todo))
        funnels = [funnel_from_json(result) for result in scanned]
        _check_bad_fraction(add_funnels([*earlier, *funnels], config), config, todo, output)
        if output is not None:
            write_shard = _WriteShard(config, output)
            for_each(write_shard, todo, config.workers, _teller(progress, "write", todo))
    return funnels


class _ScanShard:
    """Phase A for one shard, on a Ray worker; returns the funnel that the recipe would give."""

    def __init__(self, config: CurateConfig, output: str | None, verify: bool = False) -> None:
        self.config, self.output, self.verify = config, output, verify

    def __call__(self, unit: Unit) -> Result:
        scanned = load_scan(unit, self.output, verify=self.verify) if self.output else None
        if scanned is None:
            scanned = scan(unit)
            if self.output:
                save_scan(scanned, self.output)
        return asdict(_decide(scanned, self.config).funnel)


class _WriteShard:
    """Phase C for one shard, on a Ray worker; returns the funnel of its manifest."""

    def __init__(self, config: CurateConfig, output: str) -> None:
        self.config, self.output = config, output

    def __call__(self, unit: Unit) -> Result:
        scanned = load_scan(unit, self.output)
        if scanned is None:
            raise ShardChanged(
                f"{unit.uri} was changed after it was scanned; wait until whatever writes it has ended and run again"
            )
        try:
            manifest = write_unit(scanned, _decide(scanned, self.config), self.output, self.config)
        except (BrokenShard, BrokenSample):  # it could be read a moment ago
            if scanned.witness is not None:
                check_unchanged(unit.uri, scanned.witness)
            raise
        return dict(manifest["funnel"])


def _decide(scanned: Scanned, config: CurateConfig) -> Decision:
    return decide(scanned.pairs, scanned.quarantine, config)


def _check_bad_fraction(
    funnel: Funnel, config: CurateConfig, units: Sequence[Unit], output: str | None
) -> None:
    if funnel.quarantined > config.max_bad_fraction * funnel.samples:
        reasons = ", ".join(f"{reason} {count}" for reason, count in funnel.quarantine.items())
        about = " (estimated)" if funnel.estimated else ""
        first = first_quarantined(units, output) if output else None
        example = f"; the first is {first}" if first else ""
        where = f"{example}; see {output}/quarantine/*.parquet" if output else ""
        raise TooManyBadSamples(
            f"{funnel.quarantined} of {funnel.samples} samples{about} cannot be read ({reasons}), more than "
            f"max_bad_fraction {config.max_bad_fraction}{where}; mend the shards or raise max_bad_fraction"
        )


def _teller(progress: Progress | None, phase: str, units: list[Unit]) -> Callable[[Unit, Result], None]:
    """What `for_each` calls for each shard that ends: passes its progress on."""
    done = 0

    def tell(unit: Unit, funnel: Result) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(ShardProgress(phase, unit.shard, done, len(units), funnel["pairs"], funnel["kept"]))

    return tell
