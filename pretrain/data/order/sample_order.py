"""The order of samples: a pure function of (seed, epoch), the same for every number of workers.

An epoch's order is made of two shuffles: shards are put in a random order, then the samples of each run of
`window` consecutive ones are put in a random order among themselves. A reader so touches only the few shards that a
window spans, and position → sample is arithmetic: nothing is replayed to resume at step N.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np

from data_filters.errors import InputError


class Order(Protocol):
    """Which sample stands at which position of an epoch."""

    seed: int

    def __len__(self) -> int: ...
    def locate(self, epoch: int, position: int) -> tuple[int, int]: ...
    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]: ...


@dataclass(frozen=True)
class SampleOrder:
    """Order of the samples of shards with `shard_sizes` samples, for every epoch."""

    shard_sizes: tuple[int, ...]
    seed: int
    window: int

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
        slot = start + int(self._window_order(epoch, start)[position - start])
        shards, ends = self._shard_order(epoch)
        place = bisect_right(ends, slot)
        return shards[place], slot - (ends[place - 1] if place else 0)

    def shards_between(self, epoch: int, start: int, stop: int) -> list[int]:
        """The shards that the windows around positions start to stop - 1 touch, in the order of the epoch."""
        first = start - start % self.window
        last = min(len(self), stop + -stop % self.window)
        if last <= first:
            return []
        shards, ends = self._shard_order(epoch)
        return [
            s for s in shards[bisect_right(ends, first) : bisect_left(ends, last) + 1] if self.shard_sizes[s]
        ]

    # Kept by the order itself: a cache of functions would hash the sizes of all shards at every look.
    @cached_property
    def _shard_order(self):  # type: ignore[no-untyped-def]
        @lru_cache(maxsize=4)
        def shard_order(epoch: int) -> tuple[list[int], list[int]]:
            """Shards in the epoch's order, and the running totals of their sizes."""
            shards = shuffled(self.seed, epoch, 0, len(self.shard_sizes)).tolist()
            return shards, list(accumulate(self.shard_sizes[shard] for shard in shards))

        return shard_order

    @cached_property
    def _window_order(self):  # type: ignore[no-untyped-def]
        @lru_cache(maxsize=4)
        def window_order(epoch: int, start: int) -> np.ndarray:
            count = min(self.window, len(self) - start)
            return shuffled(self.seed, epoch, 1 + start // self.window, count)

        return window_order


def shuffled(seed: int, epoch: int, stream: int, count: int) -> np.ndarray:
    """A permutation of range(count) that only its arguments decide."""
    words = np.random.SeedSequence((seed, epoch, stream))
    return np.random.Generator(np.random.Philox(words)).permutation(count)
