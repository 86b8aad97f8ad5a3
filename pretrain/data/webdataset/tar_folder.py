"""Tars without manifests: their names, the number of samples in each, and the steps of an epoch."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import fsspec

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.shards.listing import find_shards
from pipelines.shards.reader import group, walk
from pipelines.shards.tar_format import BrokenShard
from pretrain.data.no_samples import why_no_samples
from pretrain.data.shards.source import CacheOptions, has_phrases, is_local

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TarFolder:
    """Tars directly below a URI, sorted by name, with the number of samples in each."""

    uri: str
    shards: tuple[tuple[str, int], ...]  # (URI, samples)
    cache_options: CacheOptions = field(default=CacheOptions())

    def plan(self, batch_size: int, ranks: int) -> StreamPlan:
        """Cut an epoch into steps.

        Raises InputError when a worker would have no shard, or less than its share of one batch.
        """
        if len(self.shards) < ranks:
            raise InputError(
                f"data {self.uri!r} has {len(self.shards)} shards and no manifests, workers.count is {ranks}; "
                f"each worker needs a shard of its own: curate the data, or lower workers.count"
            )
        fewest = min(sum(count for _, count in self.shards[rank::ranks]) for rank in range(ranks))
        steps = fewest // (batch_size // ranks)
        if steps == 0:
            raise InputError(
                f"data.batch_size is {batch_size}, of which a worker reads {batch_size // ranks}; the smallest part of "
                f"{self.uri!r} has {fewest} samples; lower data.batch_size or bring more data"
            )
        return StreamPlan(steps, batch_size)

    def record(self) -> list[dict[str, str | int]]:
        """Every shard with its number of samples, for the run's own records; the sha256 is unknown."""
        return [{"uri": uri, "samples": samples, "sha256": ""} for uri, samples in self.shards]

    def identity(self) -> Sequence[object]:
        """What determines the samples that are read, as JSON: names and counts."""
        return [list(shard) for shard in self.shards]

    def remarks(self) -> list[str]:
        """Lines that a user should see before a run: what is lost without manifests."""
        return [
            f"{self.uri} has no manifests: {len(self.shards)} tars are read in the order of their names with a shuffle "
            f"buffer; lost by it are resuming at an exact position (a restart replays the epoch so far), the same "
            f"order for every number of workers, and the record of what was read (sha256); `loupe curate` gives them"
        ]

    def has_phrases(self, look: int = 64) -> bool:
        """Whether one of the first `look` samples carries phrases."""
        return has_phrases(self.shards[0][0], look)


@dataclass(frozen=True)
class StreamPlan:
    """Steps of an epoch, which ends when the worker with the fewest samples has no full batch left."""

    steps_per_epoch: int
    batch_size: int


def open_tars(uri: str, cache: CacheOptions = CacheOptions()) -> TarFolder:
    """List the tars that a folder, one .tar or a pattern names, see `pipelines.shards.listing`.

    Counts come from img2dataset's NAME_stats.json where it is beside the tar, else from the headers in the tar.
    Raises InputError when there are none.
    """
    fs, _ = filesystem(uri)
    names = [filesystem(shard)[1] for shard in find_shards(uri).uris]
    shards = [
        (name if is_local(uri) else str(fs.unstrip_protocol(name)), _samples_in(fs, name)) for name in names
    ]
    shards = [shard for shard in shards if shard[1]]
    if not shards:
        raise InputError(why_no_samples(uri))
    return TarFolder(uri, tuple(shards), cache)


def _samples_in(fs: fsspec.AbstractFileSystem, tar: str) -> int:
    stats = tar.removesuffix(".tar") + "_stats.json"
    if fs.exists(stats):
        try:
            return int(json.loads(fs.cat_file(stats))["successes"])
        except (ValueError, KeyError, TypeError):
            logger.warning("%s names no number of successes; counting the samples of %s", stats, tar)
    count = 0
    try:
        for _ in group(walk(str(fs.unstrip_protocol(tar)))):
            count += 1
    except BrokenShard as broken:
        logger.warning("%s; %d samples before that are used", broken, count)
    return count
