"""Derives from `decide.memory` how rows are cut: groups of shards, batches of the exchange, partitions.

Results do not depend on any of it; memory, spilled bytes and the number of tasks do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

PIECE = 8
"""A batch or a partition is this part of `decide.memory`: beside it lie a sorted copy, an encoded one, and indices."""
GROUP_ROW_BYTES = 512
"""Rows of a group of shards = memory / this: a group's drops (28 bytes each) are sorted by one task."""
INLINED = 100 << 10  # Ray's max_direct_call_object_size
DRIVER_BYTES = 64 << 20
IN_PROCESS_ROW_BYTES = 1024
"""What one row takes in process: its columns, what `select` makes of them, and the indices of a sort.

Measured as resident memory, at 10 words a caption: exact duplicates 80, near captions 300, n-grams of which most come
once 1,000. Embeddings take more than this, about 10 bytes for each of their values.
"""
LEAST_GROUPS = 64  # so that a small corpus keeps the CPUs of a machine busy
LEAST_ROWS = 10_000  # of a group: a task costs the driver as much as some thousand rows cost a worker


@dataclass(frozen=True)
class Group:
    """Consecutive shards `first` to `end` - 1 that one task works on; of the source, or of earlier outputs."""

    first: int
    end: int
    is_earlier: bool = False


def fits_in_process(rows: int, memory: int) -> bool:
    """Whether a rule over so many rows runs in this process within `memory` bytes."""
    return rows * IN_PROCESS_ROW_BYTES <= memory


def piece_bytes(memory: int) -> int:
    """The bytes of a batch or a partition."""
    return max(1, memory // PIECE)


def partition_count(rows_bytes: float, memory: int) -> int:
    """How many partitions rows of so many bytes are cut into."""
    return max(1, math.ceil(rows_bytes / piece_bytes(memory)))


def least_memory(rows_bytes: float) -> int:
    """The `decide.memory` below which an exchange of rows of so many bytes would lie in the driver's memory.

    A batch is cut into an object for each partition. Ray keeps objects below INLINED bytes in the memory of the
    driver, and of every object a record there. Rows of DRIVER_BYTES at most may lie there.
    """
    if rows_bytes <= DRIVER_BYTES:
        return 0
    return math.ceil(PIECE * math.sqrt(rows_bytes * INLINED))


def group_rows(rows: int, memory: int) -> int:
    """After how many rows a group of shards is full, of a corpus of so many rows."""
    return max(1, min(memory // GROUP_ROW_BYTES, max(LEAST_ROWS, rows // LEAST_GROUPS)))


def group_shards(rows: Iterable[int], full: int, *, is_earlier: bool = False) -> list[Group]:
    """Groups of consecutive shards with at least `full` rows, the last one with what is left.

    Args:
        rows: the number of rows of each shard.
    """
    groups: list[Group] = []
    first, held, shard = 0, 0, -1
    for shard, count in enumerate(rows):
        held += count
        if held >= full:
            groups.append(Group(first, shard + 1, is_earlier))
            first, held = shard + 1, 0
    if first <= shard:
        groups.append(Group(first, shard + 1, is_earlier))
    return groups
