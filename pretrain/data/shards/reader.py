"""A worker's stream of batches from committed shards, read and decoded ahead by background threads."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from data_filters.errors import InputError
from pretrain.data.background_threads import in_background, mapped_groups
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.samples.batch import Batch
from pretrain.data.samples.preparation import UNREADABLE, BadSamples, Pair, Preparation
from pretrain.data.shards.source import ShardSource

MOST_SUBSTITUTES = 100  # unreadable samples in a row that end the run


@dataclass
class Reader:
    """Batches of worker `rank` of `ranks`, from any step on.

    A sample that cannot be read is named in the log, counted in `bad` and replaced by the one half an epoch later
    in the same order, so that any number of workers replaces it by the same sample. Beyond `max_bad_fraction` of all
    samples read (and more than ten) the stream ends with an InputError.
    """

    source: ShardSource
    plan: BatchPlan
    preparation: Preparation
    rank: int = 0
    ranks: int = 1
    micro_batches: int = 1
    threads: int = 1
    prefetch: int = 4
    max_bad_fraction: float = 0.01
    read_ahead: int = 16384  # positions whose shards are fetched before they are needed
    bad_samples: BadSamples = field(init=False)

    def __post_init__(self) -> None:
        self.bad_samples = BadSamples(self.max_bad_fraction)

    @property
    def bad(self) -> int:
        """Number of samples that could not be read so far."""
        return self.bad_samples.count

    def batches(self, first_step: int, last_step: int) -> Generator[list[Batch]]:
        """The micro-batches of each step from `first_step` to `last_step` - 1."""
        return in_background(self._batches(first_step, last_step), self.prefetch)

    def _batches(self, first_step: int, last_step: int) -> Generator[list[Batch]]:
        with closing(mapped_groups(self._pair, self._places(first_step, last_step), self.threads)) as steps:
            for pairs in steps:
                yield self.preparation.batches(pairs, self.micro_batches)

    def _places(self, first_step: int, last_step: int) -> Iterator[list[tuple[int, int]]]:
        """(epoch, position) of every pair of each step; the shards of the steps that follow are announced."""
        for step in range(first_step, last_step):
            self.source.expect(self.plan.upcoming(step, self.plan.batch_size + self.read_ahead))
            epoch, positions = self.plan.positions(step, self.rank, self.ranks)
            yield [(epoch, position) for position in positions]

    def _pair(self, place: tuple[int, int]) -> Pair:
        """The pair at (epoch, position), or the next readable substitute."""
        epoch, position = place
        order = self.plan.order
        total = len(order)
        for attempt in range(MOST_SUBSTITUTES):
            at = (position + attempt * max(1, total // 2) + attempt // 2) % total
            shard, row = order.locate(epoch, at)
            self.bad_samples.saw()
            try:
                # One random stream per (seed, epoch, position): the crop is the same on any number of workers.
                return self.preparation.pair(self.source.read(shard, row), (order.seed, epoch, position, 1))
            except InputError:
                raise
            except UNREADABLE as error:
                self.bad_samples.add(f"sample {row} of {self.source.shards[shard].uri}", error)
        raise InputError(
            f"{MOST_SUBSTITUTES} samples after position {position} of epoch {epoch} cannot be read; "
            f"check {self.source.uri}"
        )
