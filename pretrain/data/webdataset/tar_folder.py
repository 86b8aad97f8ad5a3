"""Tars without manifests: their names, the number of samples in each, and the steps of an epoch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import fsspec

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.shards.listing import find_shards
from pipelines.shards.reader import group, walk
from pipelines.shards.tar_format import BrokenShard
from pretrain.data.no_samples import why_no_samples
from pretrain.data.shards.shard_records import ShardRecord, version_of, vouches, witness_of
from pretrain.data.shards.source import CacheOptions, FoundShard, has_phrases, is_local

logger = logging.getLogger(__name__)


class PlainTar(NamedTuple):
    """A tar without a manifest.

    `version` is "" for a local tar; far away it differs between two files under the same name, so that a local copy
    of the earlier one is not read for the later.
    """

    uri: str
    samples: int
    version: str = ""


@dataclass(frozen=True)
class TarFolder:
    """Tars directly below a URI, sorted by name, with the number of samples in each."""

    uri: str
    shards: tuple[PlainTar, ...]
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
        fewest = min(sum(shard.samples for shard in self.shards[rank::ranks]) for rank in range(ranks))
        steps = fewest // (batch_size // ranks)
        if steps == 0:
            raise InputError(
                f"data.batch_size is {batch_size}, of which a worker reads {batch_size // ranks}; the smallest part of "
                f"{self.uri!r} has {fewest} samples; lower data.batch_size or bring more data"
            )
        return StreamPlan(steps, batch_size)

    def found(self) -> list[FoundShard]:
        """Every tar, in the order of their names; their sha256s are unknown."""
        return [FoundShard(shard.uri, shard.samples) for shard in self.shards]

    def shares(self) -> None:
        """None: a folder of tars is no mixture."""
        return

    def remarks(self) -> list[str]:
        """Lines that a user should see before a run: what is lost without manifests."""
        return [
            f"{self.uri} has no manifests: {len(self.shards)} tars are read in the order of their names with a shuffle "
            f"buffer; lost by it are resuming at an exact position (a restart replays the epoch so far) and the same "
            f"order for every number of workers; `loupe curate` gives both"
        ]

    def has_phrases(self, look: int = 64) -> bool:
        """Whether one of the first `look` samples carries phrases."""
        return has_phrases(self.shards[0].uri, look)


@dataclass(frozen=True)
class StreamPlan:
    """Steps of an epoch, which ends when the worker with the fewest samples has no full batch left."""

    steps_per_epoch: int
    batch_size: int


def open_tars(uri: str, cache: CacheOptions = CacheOptions(), known: Iterable[ShardRecord] = ()) -> TarFolder:
    """List the tars that a folder, one .tar or a pattern names, see `pipelines.shards.listing`.

    The samples of a local tar are counted by its headers, unless `known`, the records of an earlier start, have its
    count and the file is unchanged. Far away, where that costs as much as reading it, the count of img2dataset's
    NAME_stats.json is taken where there is one; the reader compares it. Raises InputError when there are no samples.
    """
    records = {record["uri"]: record for record in known}
    fs, _ = filesystem(uri)
    shards = []
    for found in find_shards(uri).uris:
        path = filesystem(found)[1]
        name = path if is_local(uri) else str(fs.unstrip_protocol(path))
        shards.append(_plain_tar(fs, path, name, records.get(name)))
    shards = [shard for shard in shards if shard.samples]
    if not shards:
        raise InputError(why_no_samples(uri))
    return TarFolder(uri, tuple(shards), cache)


def recorded_tars(uri: str, records: Iterable[ShardRecord], cache: CacheOptions) -> TarFolder:
    """The tars of a run's own records, neither listed nor counted again, so that every worker has the same plan."""
    return TarFolder(uri, tuple(_recorded_tar(record) for record in records), cache)


def _recorded_tar(record: ShardRecord) -> PlainTar:
    uri = record["uri"]
    return PlainTar(uri, record["samples"], "" if is_local(uri) else version_of(record["witness"]))


def _plain_tar(fs: fsspec.AbstractFileSystem, path: str, uri: str, record: ShardRecord | None) -> PlainTar:
    stated = _stated(fs, path)
    if not is_local(uri):
        return PlainTar(uri, _count(uri) if stated is None else stated, version_of(witness_of(uri)))
    if record and vouches(record, witness_of(uri)):
        return PlainTar(uri, record["samples"])
    count = _count(uri)
    if stated is not None and stated != count:
        logger.warning(
            "%s holds %d samples, %s says %d; %d are used", uri, count, _stats(path), stated, count
        )
    return PlainTar(uri, count)


def _stats(tar: str) -> str:
    """The path of the file in which img2dataset counts the samples of a tar."""
    return tar.removesuffix(".tar") + "_stats.json"


def _stated(fs: fsspec.AbstractFileSystem, tar: str) -> int | None:
    """The number of samples that the file beside a tar names; None where it names none."""
    if not fs.exists(_stats(tar)):
        return None
    try:
        return int(json.loads(fs.cat_file(_stats(tar)))["successes"])
    except (ValueError, KeyError, TypeError):
        logger.warning("%s names no number of successes; counting the samples of %s", _stats(tar), tar)
        return None


def _count(uri: str) -> int:
    """The number of samples in a tar, by its headers; of a damaged one those before the damage."""
    count = 0
    try:
        for _ in group(walk(uri)):
            count += 1
    except BrokenShard as broken:
        logger.warning("%s; %d samples before that are used", broken, count)
    return count
