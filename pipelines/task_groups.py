"""Groups of consecutive shards that share one task, since Ray Data costs the driver 7 ms of CPU and 9 KiB a task.

Shards are committed one by one, so a worker that dies loses one shard's work, however many are in its group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

TASK_BYTES = 256 << 20  # of raw shards in one task, unless a worker would have more than MOST_TASKS
TASK_UNITS = 64  # shards in one task: 0.1 ms of the driver's CPU each
LEAST_TASKS = 4  # for each worker, where there are so many shards: all workers end at about the same time
MOST_TASKS = (
    200  # for each worker, about: bounds what the driver spends on a run, and shows progress often enough
)


def group_units(sizes: Sequence[int], workers: int) -> list[range]:
    """Cut units, given by their sizes in bytes, into groups of consecutive ones; ranges of places, in order.

    A group holds at most TASK_UNITS units and TASK_BYTES bytes (or 1/MOST_TASKS of a worker's bytes where that is
    more; one unit may be larger), and at most 1/LEAST_TASKS of a worker's units and bytes.
    """
    workers = max(1, workers)
    total = sum(sizes)
    most_units = min(TASK_UNITS, max(1, len(sizes) // (workers * LEAST_TASKS)))
    most_bytes = min(
        max(TASK_BYTES, math.ceil(total / (workers * MOST_TASKS))), math.ceil(total / (workers * LEAST_TASKS))
    )
    groups: list[range] = []
    first = held = 0
    for place, size in enumerate(sizes):
        if place > first and (place - first == most_units or held + size > most_bytes):
            groups.append(range(first, place))
            first, held = place, 0
        held += size
    if sizes:
        groups.append(range(first, len(sizes)))
    return groups
