"""How Ray Data is set while a rule goes over all shards."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from pipelines.curate.corpus.partitions import piece_bytes
from pipelines.ray_tasks import quiet_data

WHOLE: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True}
"""How a stage is called: once with each whole block."""


@contextlib.contextmanager
def data_context(memory: int) -> Iterator[Any]:
    """The module `ray` while Ray Data is set for tasks of `memory` bytes, whatever this process set it to."""
    import ray
    from ray.data.context import DataContext, ShuffleStrategy

    with quiet_data(ray), silent("ray.data"):
        context = DataContext.get_current().copy()
        context.shuffle_strategy = ShuffleStrategy.SHUFFLE_V2
        context.use_disk_based_hash_shuffle = False  # its files die with their node
        context.shuffle_input_batch_bytes = piece_bytes(memory)
        context.target_max_block_size = piece_bytes(memory)
        with DataContext.current(context):
            yield ray


@contextlib.contextmanager
def silent(name: str) -> Iterator[None]:
    """Keep a logger from telling of errors, which are raised and told once, by us."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
