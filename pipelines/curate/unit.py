"""The unit of work of a curation, one raw shard, and the rows that a scan of it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# A pair or a quarantined sample by column name, as `pyarrow.Table.to_pylist` gives it; the columns are those of
# `sidecar.scan_schema`, which depend on the registered filters, or of `sidecar.QUARANTINE_SCHEMA`.
Row = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """A raw shard to curate: `name` without `.tar`, `size` in bytes."""

    name: str
    uri: str
    size: int

    @property
    def shard(self) -> str:
        """The shard's file name, which curated samples name as their source."""
        return f"{self.name}.tar"
