"""Lets Python look for reference cycles less often while many objects are made that live for a while."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

RARELY = 100_000  # containers made between two looks at the youngest; Python's own is 700


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Raise the threshold of the cycle collector for a block, which may lie within another such block.

    A shard's members are some hundred thousand tuples, which the collector would go through again and again: a third
    of the time of a scan. Objects without cycles are freed at once as ever.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(RARELY, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
