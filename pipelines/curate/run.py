"""`loupe curate`: raw shards in, curated shards out, through Ray Data.

    A scan     every raw shard → sidecar and quarantine      pipelines/curate/scan.py
    B decide   stored scores against the recipe's limits     pipelines/curate/decide.py
    C stream   survivors → tar, index, manifest              pipelines/curate/write.py

One raw shard is one task and one unit of commit. Running again skips what is committed.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from data_filters.errors import InputError
from pipelines.common.config import config_hash
from pipelines.common.files import absolute
from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import Decision, Funnel, add_funnels, decide, funnel_from_json
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.curate.report import write_report
from pipelines.curate.scan import Scanned, Unit, load_scan, save_scan, scan
from pipelines.curate.write import stream
from pipelines.phrases.page import write_phrases_page
from pipelines.ray_tasks import for_each, running_ray
from pipelines.shards.manifest import check_same_config, read_manifests

__all__ = ["CurateSummary", "InputError", "ShardProgress", "TooManyBadSamples", "curate"]


class TooManyBadSamples(RuntimeError):
    """More samples cannot be read than `max_bad_fraction` allows: something is wrong with the input."""


@dataclass(frozen=True)
class ShardProgress:
    """One shard is through one phase (`scan` or `stream`): `done` of `total` are."""

    phase: str
    shard: str
    done: int
    total: int
    pairs: int
    kept: int


Progress = Callable[[ShardProgress], None]


@dataclass(frozen=True)
class CurateSummary:
    """What a run did. `funnel` covers all shards of the output, those of earlier runs too; `seconds` this run."""

    output: str
    config_hash: str
    dry_run: bool
    shards: int
    shards_skipped: int  # committed by an earlier run
    funnel: Funnel
    seconds: float
    pairs_per_second: float  # of this run, 0 when it had nothing to do
    report: str | None  # URI of report.html

    @property
    def pairs(self) -> int:
        return self.funnel.pairs

    @property
    def kept(self) -> int:
        return self.funnel.kept

    @property
    def rejected(self) -> dict[str, int]:
        """Pairs by the first filter that stopped them."""
        return {one.name: one.rejected_in_order for one in self.funnel.filters}

    @property
    def quarantined(self) -> dict[str, int]:
        """Samples that could not be read, by reason."""
        return self.funnel.quarantine

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)


def curate(
    config: CurateConfig,
    input: str,
    output: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> CurateSummary:
    """Curate every shard of `input` into `output`; a dry run scans and counts, and writes nothing.

    `input` is a folder with tars, one tar, or a pattern with `*`; with manifests in the folder, only what they
    name is read. Starts Ray on this machine when it does not run, and stops what it started.

    Raises InputError before anything is written when the input or the output will not do, and TooManyBadSamples
    after the scan, with the quarantine written and nothing committed.
    """
    started = time.monotonic()
    output = absolute(output)  # a Ray worker may run in another folder
    units = find_units(input)
    committed = check_output(units, input, output)
    check_same_config(output, committed, config)
    if config.phrases:
        config.phrases.load()  # a parser that is not installed is said here in one line, not from within a worker
    todo = [unit for unit in units if unit.name not in committed]
    if not committed:
        require_pairs(units, input)

    earlier = [funnel_from_json(committed[unit.name]["funnel"]) for unit in units if unit.name in committed]
    with running_ray(config.workers) if todo else contextlib.nullcontext():
        look = _Scan(config, None if dry_run else output)
        scanned = for_each(look, todo, config.workers, _teller(progress, "scan", todo))
        found = add_funnels([*earlier, *(funnel_from_json(one) for one in scanned)], config)
        _check_bad_fraction(found, config, None if dry_run else output)
        if not dry_run:
            write = _Stream(config, output)
            for_each(write, todo, config.workers, _teller(progress, "stream", todo))
    if not dry_run:
        # The report counts what is committed, not what this process believes it has done.
        manifests = read_manifests(output)
        funnels = [funnel_from_json(manifests[name]["funnel"]) for name in sorted(manifests)]
        found = add_funnels(funnels, config)
    seconds = time.monotonic() - started
    report = None
    if not dry_run:
        if config.phrases:
            write_phrases_page(output)
        report = write_report(output, input, config, found)
    new_pairs = sum(one["pairs"] for one in scanned)
    return CurateSummary(
        output=output,
        config_hash=config_hash(config),
        dry_run=dry_run,
        shards=len(units),
        shards_skipped=len(units) - len(todo),
        funnel=found,
        seconds=seconds,
        pairs_per_second=new_pairs / seconds if seconds > 0 else 0.0,
        report=report,
    )


class _Scan:
    """Phase A for one shard, on a Ray worker; hands back the funnel that the recipe would give."""

    def __init__(self, config: CurateConfig, output: str | None) -> None:
        self.config, self.output = config, output

    def __call__(self, unit: Unit) -> dict[str, Any]:
        found = load_scan(unit, self.output) if self.output else None
        if found is None:
            found = scan(unit)
            if self.output:
                save_scan(found, self.output)
        return asdict(_decide(found, self.config).funnel)


class _Stream:
    """Phase C for one shard, on a Ray worker."""

    def __init__(self, config: CurateConfig, output: str) -> None:
        self.config, self.output = config, output

    def __call__(self, unit: Unit) -> dict[str, Any]:
        found = load_scan(unit, self.output)
        if found is None:
            raise RuntimeError(f"the scan of {unit.uri} is gone from {self.output}, or the shard has changed")
        manifest: dict[str, Any] = stream(found, _decide(found, self.config), self.output, self.config)
        return dict(manifest["funnel"])


def _decide(found: Scanned, config: CurateConfig) -> Decision:
    return decide(found.pairs, found.quarantine, config)


def _check_bad_fraction(found: Funnel, config: CurateConfig, output: str | None) -> None:
    if found.quarantined > config.max_bad_fraction * found.samples:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.quarantine.items())
        where = f"; see {output}/quarantine/*.parquet" if output else ""
        raise TooManyBadSamples(
            f"{found.quarantined} of {found.samples} samples cannot be read ({reasons}), more than "
            f"max_bad_fraction {config.max_bad_fraction}{where}; mend the shards or raise max_bad_fraction"
        )


def _teller(
    progress: Progress | None, phase: str, units: list[Unit]
) -> Callable[[Unit, dict[str, Any]], None]:
    done = 0

    def tell(unit: Unit, funnel: dict[str, Any]) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(ShardProgress(phase, unit.shard, done, len(units), funnel["pairs"], funnel["kept"]))

    return tell
