"""Several datasets, each with its share of every batch: still a pure function of (seed, epoch, position).

All positions of a run, epoch after epoch, are cut into blocks of 1,000. Each block holds the same number of positions
of each dataset, in an order shuffled anew for each block. So the number of a dataset's positions before any position is
arithmetic, and it is the place in that dataset's own endless order of epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np

from data_filters.errors import InputError
from pretrain.data.order.sample_order import SampleOrder, shuffled

BLOCK = 1000  # positions; shares are exact to one in a thousand
_BLOCKS_STREAM = 2**31  # apart from the streams of shards and windows


@dataclass(frozen=True)
class MixedOrder:
    """Order of samples drawn from `orders` by `shares` (positions of each dataset in a block of 1,000).

    Shards are numbered through, dataset after dataset. An epoch has as many positions as the datasets have samples
    together; a dataset whose share is more than its part of them is read more than once in that time, each pass in
    another order.
    """

    orders: tuple[SampleOrder, ...]
    shares: tuple[int, ...]
    seed: int

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
        datasets, before = self._block(block)
        chosen = int(datasets[within])
        number = block * self.shares[chosen] + int(before[within])
        return chosen, *divmod(number, len(self.orders[chosen]))

    def locate(self, epoch: int, position: int) -> tuple[int, int]:
        """(shard, row in the shard) of the sample at `position` of `epoch`; positions run from 0 to len - 1."""
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} is outside the epoch's {len(self)} samples")
        chosen, own_epoch, place = self.dataset(epoch, position)
        shard, row = self.orders[chosen].locate(own_epoch, place)
        return self._first_shards[chosen] + shard, row

    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]:
        """The shards that positions start to stop - 1 may touch: those of whole blocks around them."""
        first = (epoch * len(self) + start) // BLOCK
        last = -((epoch * len(self) + stop) // -BLOCK)
        found = []
        for number, (order, share) in enumerate(zip(self.orders, self.shares, strict=True)):
            at, end = first * share, last * share
            while at < end:
                own_epoch, place = divmod(at, len(order))
                until = min(len(order), place + end - at)
                here = order.shards_between(own_epoch, place, until)
                found += [self._first_shards[number] + shard for shard in here]
                at += until - place
        return found

    @cached_property
    def _block(self):  # type: ignore[no-untyped-def]
        @lru_cache(maxsize=16)
        def block_order(block: int) -> tuple[np.ndarray, np.ndarray]:
            """Of each position of a block: its dataset, and how many of that dataset stand before it."""
            datasets = np.repeat(np.arange(len(self.shares)), self.shares)
            datasets = datasets[shuffled(self.seed, block, _BLOCKS_STREAM, BLOCK)]
            before = np.empty(BLOCK, np.int64)
            for number, share in enumerate(self.shares):
                before[datasets == number] = np.arange(share)
            return datasets, before

        return block_order


def shares_of(weights: Sequence[float]) -> tuple[int, ...]:
    """Positions of each dataset in a block, by largest remainder: weights need not sum to 1.

    Raises InputError when a weight is not positive, or so small that a block has no place for it.
    """
    if not all(0 < weight < float("inf") for weight in weights):
        raise InputError(f"data weights are {list(weights)}; allowed are numbers above 0")
    wanted = [weight / sum(weights) * BLOCK for weight in weights]
    shares = [int(part) for part in wanted]
    by_remainder = sorted(range(len(wanted)), key=lambda one: (shares[one] - wanted[one], one))
    for one in by_remainder[: BLOCK - sum(shares)]:
        shares[one] += 1
    if min(shares) < 1:
        raise InputError(
            f"data weights are {list(weights)}; the smallest is under 1/{BLOCK} of their sum, which no batch would "
            f"show; raise it or leave that dataset out"
        )
    return tuple(shares)
