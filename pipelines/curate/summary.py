"""What a curation tells its caller: progress while it runs, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.curate.estimate import Estimate
from pipelines.curate.funnel import Funnel, funnel_table
from pipelines.curate.plan_words import PlanWords
from pipelines.curate.standing import Standing


@dataclass(frozen=True)
class ShardProgress:
    """A shard has finished a phase (`scan`, `look` or `write`), as `done` of `total` shards have."""

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
    pairs_per_second: float  # of this run, 0 when there was nothing to do
    report: str | None  # URI of report.html
    shards_changed: list[str] = field(default_factory=list)  # other bytes than were committed: curated anew
    shards_rewritten: list[str] = field(default_factory=list)  # tar or index missing or altered: written anew
    shards_withdrawn: list[str] = field(default_factory=list)  # in the output, no longer in the input
    tars_written: int = 0  # by this run
    notes: list[str] = field(default_factory=list)  # sentences that a person must not miss
    # Any: the values are those of JSON.
    costs: list[dict[str, Any]] = field(default_factory=list)  # of this run, see `pipelines.curate.cost.Cost`
    plan: PlanWords | None = None  # of a dry run
    estimate: Estimate | None = None  # of a dry run

    @property
    def pairs(self) -> int:
        """Pairs that could be read."""
        return self.funnel.pairs

    @property
    def kept(self) -> int:
        """Pairs that passed every filter."""
        return self.funnel.kept

    @property
    def rejected(self) -> dict[str, int]:
        """Pairs by the first filter that they fail."""
        return {counts.name: counts.rejected_in_order for counts in self.funnel.filters}

    @property
    def quarantined(self) -> dict[str, int]:
        """Samples that could not be read, by reason."""
        return self.funnel.quarantine

    def funnel_table(self) -> tuple[list[str], list[list[str]]]:
        """The funnel as text for a terminal: (head, rows), see `pipelines.curate.funnel.funnel_table`."""
        return funnel_table(self.funnel)

    # Any: the values are those of JSON.
    def as_json(self) -> dict[str, Any]:
        """Every field, for machines."""
        return asdict(self)


FEW = 0.01  # a run that keeps less than this fraction of its pairs says so


def notes(
    funnel: Funnel,
    standing: Standing,
    dropped: bool = False,
    dry_run: bool = False,
    damaged_scores: Sequence[str] = (),
) -> list[str]:
    """The sentences of a run's end: what was made anew, what is withdrawn, and that next to nothing is kept."""
    changed, damaged, withdrawn = standing.changed, standing.damaged, standing.withdrawn
    said = []
    if changed:
        said.append(f"{_have(changed)} changed since {_it(changed)} committed: {_would(dry_run)}curated anew")
    if damaged:
        said.append(f"the output of {_named(damaged)} was missing or altered: {_would(dry_run)}written anew")
    if damaged_scores:
        count = f"{len(damaged_scores)} {'file' if len(damaged_scores) == 1 else 'files'}"
        some = ", ".join(damaged_scores[:3]) + (", ..." if len(damaged_scores) > 3 else "")
        said.append(f"{count} of scores could not be read ({some}): computed anew")
    if withdrawn and dropped:
        said.append(f"{_named(withdrawn)} no longer in the input: {_would(dry_run)}removed from the output")
    elif withdrawn:
        said.append(
            f"{_named(withdrawn)} no longer in the input, still in the output; --drop-withdrawn removes what "
            "the output holds of them"
        )
    if funnel.kept < FEW * funnel.pairs or not funnel.kept:
        said.append(_little(funnel))
    return said


def _little(funnel: Funnel) -> str:
    """That next to nothing is kept, and what dropped most."""
    if not funnel.pairs:
        about = " (estimated)" if funnel.estimated else ""
        return f"no pair could be read: {funnel.quarantined:,} of {funnel.samples:,} samples{about} are in quarantine"
    kept = "none" if not funnel.kept else f"only {funnel.kept:,}"
    text = f"curation kept {kept} of {funnel.pairs:,} pairs"
    most = max(funnel.filters, key=lambda counts: counts.rejected_in_order, default=None)
    if most is not None and most.rejected_in_order:
        text += f"; the filter {most.name} dropped most, {most.rejected_in_order:,} ({most.words})"
    return text


def _would(dry_run: bool) -> str:
    return "would be " if dry_run else ""


def _have(names: list[str]) -> str:
    return f"{_named(names)} {'has' if len(names) == 1 else 'have'}"


def _it(names: list[str]) -> str:
    return "it was" if len(names) == 1 else "they were"


def _named(names: list[str]) -> str:
    """`1 shard (0.tar)`; the first three of many."""
    some = ", ".join(f"{name}.tar" for name in names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {'shard' if len(names) == 1 else 'shards'} ({some})"
