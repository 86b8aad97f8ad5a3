"""Several datasets, each with its share of every batch: a pure function of (seed, epoch, position).

All positions of a run, epoch after epoch, are cut into blocks of 1,000. Each block holds the same number of positions
of each dataset, in an order that is shuffled anew for each block. So the number of a dataset's positions before any
position is arithmetic, and it is the place in that dataset's own endless order of epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from data_filters.errors import InputError
from pretrain.data.bounded_cache import BoundedCache
from pretrain.data.order.sample_order import SampleOrder, shuffled

BLOCK = 1000  # positions; shares are exact to one in a thousand
KEPT_BLOCKS = 16  # blocks whose order is in memory
_BLOCKS_STREAM = 2**31  # random stream of the blocks, different from those of shards and windows


@dataclass(frozen=True)
class MixedOrder:
    """Order of samples drawn from `orders` by `shares` (positions of each dataset in a block of 1,000).

    Shards are numbered consecutively, dataset after dataset. An epoch has as many positions as the datasets have
    samples together; a dataset whose share is more than its part of them is read more than once in that time, each
    pass in another order.
    """

    orders: tuple[SampleOrder, ...]
    shares: tuple[int, ...]
    seed: int
    _blocks: BoundedCache[int, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=lambda: BoundedCache(KEPT_BLOCKS), init=False, repr=False, compare=False
    )

    @cached_property
    def _total(self) -> int:
        return sum(len(order) for order in self.orders)

    @cached_property
    def _first_shards(self) -> list[int]:
        return [0, *accumulate(len(order.shard_sizes) for order in self.orders)]

    def __len__(self) -> int:
        return self._total

    def dataset(self, epoch: int, position: int) -> tuple[int, int, int]:
        """(dataset, which of its own epochs, place in it) of a position."""
        block, within = divmod(epoch * len(self) + position, BLOCK)
        datasets, before = self._blocks.get(block, self._block)
        dataset = int(datasets[within])
        number = block * self.shares[dataset] + int(before[within])
        return dataset, *divmod(number, len(self.orders[dataset]))

    def locate(self, epoch: int, position: int) -> tuple[int, int]:
        """(shard, row in the shard) of the sample at `position` of `epoch`; positions run from 0 to len - 1."""
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} is outside the epoch's {len(self)} samples")
        dataset, dataset_epoch, place = self.dataset(epoch, position)
        shard, row = self.orders[dataset].locate(dataset_epoch, place)
        return self._first_shards[dataset] + shard, row

    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]:
        """The shards that positions start to stop - 1 may be in: those of the whole blocks around them."""
        first = (epoch * len(self) + start) // BLOCK
        last = -((epoch * len(self) + stop) // -BLOCK)
        shards = []
        for dataset, (order, share) in enumerate(zip(self.orders, self.shares, strict=True)):
            at, end = first * share, last * share
            while at < end:
                dataset_epoch, place = divmod(at, len(order))
                until = min(len(order), place + end - at)
                between = order.shards_between(dataset_epoch, place, until)
                shards += [self._first_shards[dataset] + shard for shard in between]
                at += until - place
        return shards

    def _block(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each position of a block: its dataset, and how many of that dataset are before it."""
        datasets = np.repeat(np.arange(len(self.shares)), self.shares)
        datasets = datasets[shuffled(self.seed, block, _BLOCKS_STREAM, BLOCK)]
        before = np.empty(BLOCK, np.int64)
        for dataset, share in enumerate(self.shares):
            before[datasets == dataset] = np.arange(share)
        return datasets, before


def shares_of(weights: Sequence[float]) -> tuple[int, ...]:
    """Positions of each dataset in a block, by largest remainder: weights need not sum to 1.

    Raises InputError when a weight is not positive, or so small that a block has no position for it.
    """
    if not all(0 < weight < float("inf") for weight in weights):
        raise InputError(f"data weights are {list(weights)}; allowed are numbers above 0")
    quotas = [weight / sum(weights) * BLOCK for weight in weights]
    shares = [int(quota) for quota in quotas]
    by_remainder = sorted(
        range(len(quotas)), key=lambda dataset: (shares[dataset] - quotas[dataset], dataset)
    )
    for dataset in by_remainder[: BLOCK - sum(shares)]:
        shares[dataset] += 1
    if min(shares) < 1:
        raise InputError(
            f"data weights are {list(weights)}; the smallest is under 1/{BLOCK} of their sum, which no batch would "
            f"show; raise it or leave that dataset out"
        )
    return tuple(shares)
