"""A worker's stream of batches from any WebDataset, without manifests, in the order of its shards.

Unlike in committed shards, a position has no address: a resumed run reads its epoch's stream again up to where it
stopped, and the order depends on the number of workers.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby, islice
from typing import IO, Any

import webdataset
from webdataset.tariterators import group_by_keys, tar_file_expander

from data_filters.errors import InputError
from data_filters.sample import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    METADATA_EXTENSION,
    Sample,
    sample_from_members,
)
from pipelines.common.files import filesystem
from pretrain.data.background_threads import in_background, mapped_groups
from pretrain.data.samples.batch import Batch
from pretrain.data.samples.preparation import UNREADABLE, BadSamples, Pair, Preparation
from pretrain.data.shards.cache import Remote, ShardCache
from pretrain.data.shards.source import is_local
from pretrain.data.webdataset.finite_stream import FiniteStream
from pretrain.data.webdataset.sample_counts import SampleCounts
from pretrain.data.webdataset.tar_folder import PlainTar, StreamPlan, TarFolder
from pretrain.data.webdataset.tar_losses import TarLosses

logger = logging.getLogger(__name__)

READ_AHEAD = 2  # shards
USED = (*IMAGE_EXTENSIONS, CAPTION_EXTENSION, METADATA_EXTENSION)

# webdataset's dictionary of a sample, which it leaves untyped: bytes by extension, strings under __key__ and __url__.
RawSample = dict[str, Any]
Numbered = tuple[int, RawSample]  # its number in the epoch's stream of this rank, the sample


@dataclass
class StreamReader:
    """Batches of worker `rank` of `ranks`, which reads every `ranks`-th shard.

    Resuming skips what an uninterrupted run would have read before; with the same number of workers and no broken
    samples before that point it continues exactly there. A broken sample is named in the log, counted in `bad`, and
    replaced by the next one; of a damaged tar the samples that did not come are counted. Where so many are broken that
    the epoch falls short, its first samples are read again, with a warning.
    """

    source: TarFolder
    plan: StreamPlan
    preparation: Preparation
    seed: int = 0
    buffer: int = 4096  # samples
    rank: int = 0
    ranks: int = 1
    micro_batches: int = 1
    threads: int = 1
    prefetch: int = 4
    max_bad_fraction: float = 0.01
    bad_samples: BadSamples = field(init=False)
    counts: SampleCounts = field(init=False)

    def __post_init__(self) -> None:
        self.bad_samples = BadSamples(self.max_bad_fraction)
        self.counts = SampleCounts(self.max_bad_fraction)

    @property
    def bad(self) -> int:
        """Number of samples that could not be read so far."""
        return self.bad_samples.count

    def batches(self, first_step: int, last_step: int) -> Generator[list[Batch]]:
        """The micro-batches of each step from `first_step` to `last_step` - 1."""
        return in_background(self._batches(first_step, last_step), self.prefetch)

    def _batches(self, first_step: int, last_step: int) -> Generator[list[Batch]]:
        step, steps = first_step, self.plan.steps_per_epoch
        while step < last_step:
            epoch, within = divmod(step, steps)
            count = min(steps - within, last_step - step)
            with closing(self._epoch(epoch, within, count)) as batches:
                yield from batches
            step += count

    def _epoch(self, epoch: int, skip_steps: int, steps: int) -> Generator[list[Batch]]:
        """The micro-batches of `steps` steps of an epoch, after the first `skip_steps`."""
        share = self.plan.batch_size // self.ranks
        samples = self._samples_without_end(epoch, skip_steps * share)
        ready: list[Pair] = []
        groups = _in_groups(islice(samples, steps * share), share)
        with closing(mapped_groups(partial(self._pair, epoch), groups, self.threads)) as pairs_of_groups:
            for pairs in pairs_of_groups:
                ready += [pair for pair in pairs if pair is not None]
                if len(ready) >= share:
                    yield self.preparation.batches(ready[:share], self.micro_batches)
                    ready, steps = ready[share:], steps - 1
        while steps:  # broken samples were left out
            pair = self._pair(epoch, next(samples))
            ready += [] if pair is None else [pair]
            if len(ready) == share:
                yield self.preparation.batches(ready, self.micro_batches)
                ready, steps = [], steps - 1

    def _samples_without_end(self, epoch: int, skip: int) -> Iterator[Numbered]:
        """The epoch's samples from number `skip` on; after the last, the first ones again."""
        yield from islice(enumerate(self.raw_samples(epoch)), skip, None)
        while True:
            logger.warning(
                "epoch %d of rank %d is short of samples, since some are broken: its first ones come again",
                epoch,
                self.rank,
            )
            any_read = False
            for number, sample in enumerate(self.raw_samples(epoch)):
                any_read = True
                yield number, sample
            if not any_read:
                raise InputError(f"no sample of {self.source.uri} can be read; check the tars")

    def raw_samples(self, epoch: int) -> Iterator[RawSample]:
        """This rank's samples of an epoch, shuffled, not decoded."""
        losses = TarLosses(self.bad_samples, {uri: tar.samples for uri, tar in self._tars.items()})
        stages: list[Any] = [  # webdataset has no type for a stage
            webdataset.SimpleShardList([tar.uri for tar in self.source.shards][self.rank :: self.ranks]),
            partial(self._opened, losses),
            lambda opened: tar_file_expander(opened, handler=losses.note, select_files=_is_used),
            lambda files: group_by_keys(files, handler=losses.note),
            partial(self._counted, losses),
        ]
        if self.buffer > 1:
            # Seeded by seed, epoch and rank alone, so that a restart reads the same order again.
            generator = random.Random(f"{self.seed} {epoch} {self.rank}")
            stages.append(webdataset.shuffle(self.buffer, initial=self.buffer, rng=generator))
        return iter(webdataset.DataPipeline(*stages))

    def _counted(self, losses: TarLosses, samples: Iterable[RawSample]) -> Iterator[RawSample]:
        """webdataset's stage that compares how many samples of a tar came with what the plan took for it.

        A difference is a loss where the tar is damaged, otherwise a wrong number beside a remote tar.
        """
        for url, of_one_tar in groupby(samples, key=lambda sample: str(sample["__url__"])):
            losses.settle_without_samples(but=url)
            count = 0
            for sample in of_one_tar:
                count += 1
                yield sample
            if losses.is_damaged(url):
                losses.settle(url, count)
            elif not is_local(url):
                self.counts.compare(url, self._tars[url].samples, count)
        losses.settle_without_samples()

    def _opened(
        self, losses: TarLosses, shards: Iterable[dict[str, str]]
    ) -> Iterator[dict[str, str | FiniteStream]]:
        """webdataset's stage that opens tars; of one that cannot be opened all samples are lost."""
        urls = [shard["url"] for shard in shards]
        for number, url in enumerate(urls):
            losses.reading = url
            try:
                with self._open(url, urls[number : number + 1 + READ_AHEAD]) as stream:
                    yield {"url": url, "stream": FiniteStream(stream)}
            except OSError as error:
                losses.note(error)

    def _open(self, url: str, next_urls: list[str]) -> IO[bytes]:
        if is_local(url):
            return open(filesystem(url)[1], "rb")
        self._cache.expect([self._remote(next_url) for next_url in next_urls])
        return self._cache.path(self._remote(url)).open("rb")

    def _remote(self, url: str) -> Remote:
        return Remote(url, version=self._tars[url].version)

    @cached_property
    def _tars(self) -> dict[str, PlainTar]:
        return {tar.uri: tar for tar in self.source.shards}

    @cached_property
    def _cache(self) -> ShardCache:
        return self.source.cache_options.open()

    def _pair(self, epoch: int, numbered: Numbered) -> Pair | None:
        """The prepared pair; None for a sample that cannot be read."""
        number, members = numbered
        self.bad_samples.saw()
        try:
            return self.preparation.pair(_sample(members), (self.seed, epoch, self.rank, number, 2))
        except UNREADABLE as error:
            self.bad_samples.add(f"sample {members['__key__']} of {members['__url__']}", error)
            return None


def _in_groups(items: Iterator[Numbered], size: int) -> Iterator[list[Numbered]]:
    while group_of := list(islice(items, size)):
        yield group_of


def _sample(members: RawSample) -> Sample:
    return sample_from_members(
        members["__key__"], {name: data for name, data in members.items() if not name.startswith("__")}
    )


def _is_used(name: str) -> bool:
    return name.lower().rsplit(".", 1)[-1] in USED
