"""What the training loop needs of a reader, whichever data is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pretrain.data.samples.batch import Batch


class EpochLength(Protocol):
    """How many steps one pass over the data takes."""

    @property
    def steps_per_epoch(self) -> int: ...


class BatchReader(Protocol):
    """One worker's stream of batches."""

    @property
    def plan(self) -> EpochLength:
        """The arithmetic of steps and epochs."""
        ...

    @property
    def bad(self) -> int:
        """Samples that could not be read so far."""
        ...

    def batches(self, first_step: int, last_step: int) -> Iterator[list[Batch]]:
        """The micro-batches of each step from `first_step` up to, without, `last_step`."""
        ...
