"""The order of samples: a pure function of (seed, epoch), the same for every number of workers.

An epoch's order is made of two shuffles: shards are put in a random order, then the samples of each run of
`window` consecutive ones are put in a random order among themselves. So a reader needs only the few shards that a
window spans at a time, and position → sample is arithmetic: nothing is read again to resume at step N.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np

from data_filters.errors import InputError
from pretrain.data.bounded_cache import BoundedCache

KEPT_EPOCHS = 4  # epochs whose order of shards is in memory
KEPT_WINDOWS = 4  # windows whose order of samples is in memory


class Order(Protocol):
    """Which sample is at which position of an epoch."""

    @property
    def seed(self) -> int:
        """What the order is drawn from."""
        ...

    def __len__(self) -> int:
        """Positions in an epoch."""
        ...

    def locate(self, epoch: int, position: int) -> tuple[int, int]:
        """(shard, row in the shard) of the sample at a position."""
        ...

    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]:
        """The shards that positions start to stop - 1 may be in."""
        ...


@dataclass(frozen=True)
class SampleOrder:
    """Order of the samples of shards with `shard_sizes` samples, for every epoch."""

    shard_sizes: tuple[int, ...]
    seed: int
    window: int
    # Kept by each order itself: `functools.lru_cache` on the methods would hash the sizes of all shards at every call.
    _shard_orders: BoundedCache[int, tuple[list[int], list[int]]] = field(
        default_factory=lambda: BoundedCache(KEPT_EPOCHS), init=False, repr=False, compare=False
    )
    _window_orders: BoundedCache[tuple[int, int], np.ndarray] = field(
        default_factory=lambda: BoundedCache(KEPT_WINDOWS), init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InputError(
                f"shuffle window is {self.window}; allowed are 1 and more; set data.shuffle_window"
            )
        if sum(self.shard_sizes) == 0:
            raise InputError("the data holds no samples; curate some first")

    @cached_property
    def _total(self) -> int:
        return sum(self.shard_sizes)

    def __len__(self) -> int:
        return self._total

    def locate(self, epoch: int, position: int) -> tuple[int, int]:
        """(shard, row in the shard) of the sample at `position` of `epoch`; positions run from 0 to len - 1."""
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} is outside the epoch's {len(self)} samples")
        start = position - position % self.window
        window_order = self._window_orders.get((epoch, start), self._window_order)
        slot = start + int(window_order[position - start])
        shards, ends = self._shard_orders.get(epoch, self._shard_order)
        place = bisect_right(ends, slot)
        return shards[place], slot - (ends[place - 1] if place else 0)

    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]:
        """The shards of the windows around positions start to stop - 1, in the order of the epoch."""
        first = start - start % self.window
        last = min(len(self), stop + -stop % self.window)
        if last <= first:
            return []
        shards, ends = self._shard_orders.get(epoch, self._shard_order)
        between = shards[bisect_right(ends, first) : bisect_left(ends, last) + 1]
        return [shard for shard in between if self.shard_sizes[shard]]

    def _shard_order(self, epoch: int) -> tuple[list[int], list[int]]:
        """Shards in the epoch's order, and the running totals of their sizes."""
        shards = shuffled(self.seed, epoch, 0, len(self.shard_sizes)).tolist()
        return shards, list(accumulate(self.shard_sizes[shard] for shard in shards))

    def _window_order(self, epoch_and_start: tuple[int, int]) -> np.ndarray:
        """A permutation of the places in the window that begins at position `start` of `epoch`."""
        epoch, start = epoch_and_start
        count = min(self.window, len(self) - start)
        return shuffled(self.seed, epoch, 1 + start // self.window, count)


def shuffled(seed: int, epoch: int, stream: int, count: int) -> np.ndarray:
    """A permutation of range(count), a function of its arguments alone."""
    words = np.random.SeedSequence((seed, epoch, stream))
    return np.random.Generator(np.random.Philox(words)).permutation(count)
