"""Groups of consecutive shards that share one task, since Ray Data costs the driver about 7 ms of CPU a task."""

from __future__ import annotations

import math
from collections.abc import Sequence

TASK_BYTES = 256 << 20  # of raw shards in one task: what a worker that dies has to read again
TASK_UNITS = 64  # shards in one task: 0.1 ms of the driver's CPU each
TASKS_PER_WORKER = 4  # at least, where there are so many shards: workers end at about the same time


def group_units(sizes: Sequence[int], workers: int) -> list[range]:
    """Cut units, given by their sizes in bytes, into groups of consecutive ones; ranges of places, in order.

    A group holds at most TASK_UNITS units and TASK_BYTES bytes (one unit may be larger), and at most its share of all
    units and bytes when every worker is to have TASKS_PER_WORKER groups.
    """
    share = max(1, workers * TASKS_PER_WORKER)
    most_units = min(TASK_UNITS, max(1, len(sizes) // share))
    most_bytes = min(TASK_BYTES, math.ceil(sum(sizes) / share))
    groups: list[range] = []
    first = total = 0
    for place, size in enumerate(sizes):
        if place > first and (place - first == most_units or total + size > most_bytes):
            groups.append(range(first, place))
            first, total = place, 0
        total += size
    if sizes:
        groups.append(range(first, len(sizes)))
    return groups
