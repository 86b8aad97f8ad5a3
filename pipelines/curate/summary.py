"""What a curation tells its caller: progress while it runs, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.curate.funnel import Funnel, funnel_table


@dataclass(frozen=True)
class ShardProgress:
    """A shard has finished a phase (`scan` or `write`), as `done` of `total` shards have."""

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
