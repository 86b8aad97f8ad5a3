"""Which positions of the order of samples each worker reads at each step."""

from __future__ import annotations

from dataclasses import dataclass

from data_filters.errors import InputError
from pretrain.data.order.sample_order import Order


@dataclass(frozen=True)
class BatchPlan:
    """The positions that each worker reads at each step.

    The global batch of a step is `batch_size` consecutive positions; worker r of W takes the r-th of W equal,
    consecutive parts. The last len(order) mod batch_size positions of an epoch are left out of that epoch: a batch
    never mixes two epochs.
    """

    order: Order
    batch_size: int

    def __post_init__(self) -> None:
        if len(self.order) < self.batch_size:
            raise InputError(
                f"data.batch_size is {self.batch_size}, the data has {len(self.order)} samples; "
                f"lower data.batch_size or bring more data"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole global batches in an epoch."""
        return len(self.order) // self.batch_size

    def positions(self, step: int, rank: int, ranks: int) -> tuple[int, range]:
        """(epoch, positions in it) that worker `rank` of `ranks` reads at `step` (from 0)."""
        epoch, within = divmod(step, self.steps_per_epoch)
        share = self.batch_size // ranks
        first = within * self.batch_size + rank * share
        return epoch, range(first, first + share)

    def upcoming(self, step: int, count: int) -> list[int]:
        """The shards that hold the next `count` positions from `step` on, in the order of their first use."""
        epoch, within = divmod(step, self.steps_per_epoch)
        start, shards = within * self.batch_size, list[int]()
        while count > 0:
            stop = min(start + count, self.steps_per_epoch * self.batch_size)
            shards += self.order.shards_between(epoch, start, stop)
            epoch, start, count = epoch + 1, 0, count - (stop - start)
        return list(dict.fromkeys(shards))
