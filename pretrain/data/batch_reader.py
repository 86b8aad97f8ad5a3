"""The contract between a reader of batches and the training loop."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from pretrain.data.samples.batch import Batch


class StepPlan(Protocol):
    """How an epoch is cut into steps."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole global batches in an epoch."""
        ...


class BatchReader(Protocol):
    """One worker's stream of batches: `shards.reader.Reader` and `webdataset.reader.StreamReader`."""

    @property
    def plan(self) -> StepPlan:
        """How the data is cut into steps."""
        ...

    @property
    def bad(self) -> int:
        """Number of samples that could not be read so far."""
        ...

    def batches(self, first_step: int, last_step: int) -> Generator[list[Batch]]:
        """The micro-batches of each step from `first_step` to `last_step` - 1."""
        ...
