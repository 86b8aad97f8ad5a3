"""What the quarantine says of samples that cannot be read: rows of `QUARANTINE_SCHEMA`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_filters.sample import BrokenSample, members_read
from pipelines.shards.damage.contents import Contents
from pipelines.shards.damage.losses import count_lost
from pipelines.shards.names import printable
from pipelines.shards.tar_format import BrokenShard
from pipelines.shards.unit import Unit

MAX_TEXT = 500  # characters of an error's text that are kept
WITHOUT_SPARSE = "write the tar without --sparse (-S)"

# By column name, as `pyarrow.Table.from_pylist` takes it.
Row = dict[str, Any]


def sparse_rows(unit: Unit, contents: Contents) -> Iterator[Row]:
    """Rows of sparse members: of those left out of a pair, which count as no sample, and of those that stood alone."""
    keys = {members[0].key for members in contents.samples}
    for key, members in contents.sparse.items():
        names = [member.extension for member in members]
        if key in keys and members_read(names):
            continue  # its sample is set aside
        error = BrokenSample("sparse_member", f"{key}.{', '.join(names)} left out; {WITHOUT_SPARSE}")
        yield quarantined(unit, members[0].offset, key, error.reason, error, int(key not in keys))


def damage_rows(unit: Unit, contents: Contents, total: int) -> Iterator[Row]:
    """A row for each damage of the tar with the number of samples that it has cost: 0 where none may have been lost."""
    before = 0
    for hit in contents.hits:
        loss = count_lost(unit, contents, hit, total, before)
        before += loss.count
        error = BrokenShard(unit.shard, hit.damage.offset, hit.damage.reason)
        key = hit.keys[0] if hit.keys else None
        row = quarantined(unit, hit.damage.offset, key, "broken_shard", error, loss.count, loss.basis)
        yield {**row, "estimated": loss.estimated}


def quarantined(
    unit: Unit,
    offset: int,
    key: str | None,
    reason: str,
    error: Exception,
    count: int = 1,
    remark: str = "",
    stage: str = "scan",
) -> Row:
    """The row of a sample that cannot be read, at `offset` in the shard's bytes; `count` samples are lost."""
    # A broken shard's own text holds the path of the local copy, which differs from run to run.
    text = f"{error.reason} at byte {error.offset}" if isinstance(error, BrokenShard) else str(error)
    text = f"{type(error).__name__}: {text}" + (f"; {remark}" if remark else "")
    return {
        "shard": unit.shard,
        "offset": offset,
        "key": None if key is None else printable(key),
        "stage": stage,
        "reason": reason,
        "exception": printable(text[:MAX_TEXT]),
        "count": count,
        "estimated": False,
    }
