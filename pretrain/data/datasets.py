"""Opens what `--data` names: committed shards, a mixture of several datasets, or plain tars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from pipelines.shards.manifest import committed_shards
from pretrain.config import PretrainConfig
from pretrain.data.batch_reader import BatchReader
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.shard_records import ShardRecord
from pretrain.data.shards.source import GIB, CacheOptions, ShardSource, open_source, split_weight
from pretrain.data.webdataset.reader import StreamReader
from pretrain.data.webdataset.tar_folder import StreamPlan, TarFolder, open_tars, recorded_tars

# A union, not a protocol: which of the two it is decides about the order of samples and the reader.
Source = ShardSource | TarFolder


class _ReaderOptions(TypedDict):
    """Options that both readers take."""

    rank: int
    ranks: int
    micro_batches: int
    threads: int
    prefetch: int
    max_bad_fraction: float


def open_data(config: PretrainConfig, data: str | Sequence[str], known: Sequence[ShardRecord] = ()) -> Source:
    """Open the data that one `URI`, or several `URI` or `URI=WEIGHT`, name.

    A single folder without manifests is read as a plain WebDataset; `known` are the records of an earlier start, by
    which unchanged tars need not be counted again. Raises InputError when there is nothing to read.
    """
    uri = _plain_folder(data)
    if uri is not None:
        return open_tars(uri, _cache(config), known)
    return open_source(*_listed(data), cache=_cache(config))


def reopen_data(config: PretrainConfig, data: str | Sequence[str], records: Sequence[ShardRecord]) -> Source:
    """Open the data of a prepared run, whose shards are in `records`: plain tars are not listed and counted again."""
    uri = _plain_folder(data)
    if uri is not None:
        return recorded_tars(uri, records, _cache(config))
    return open_source(*_listed(data), cache=_cache(config))


def _plain_folder(data: str | Sequence[str]) -> str | None:
    """The URI of the data where it is a single one without manifests, otherwise None."""
    uris = _listed(data)
    uri, _ = split_weight(uris[0])
    return uri if len(uris) == 1 and not committed_shards(uri) else None


def _listed(data: str | Sequence[str]) -> list[str]:
    return [data] if isinstance(data, str) else list(data)


def _cache(config: PretrainConfig) -> CacheOptions:
    return CacheOptions(int(config.data.cache_gib * GIB), config.data.cache_folder)


def plan_batches(config: PretrainConfig, source: Source, ranks: int) -> BatchPlan | StreamPlan:
    """How the data is cut into steps. Raises InputError when there is less than one step."""
    if isinstance(source, TarFolder):
        return source.plan(config.data.batch_size, ranks)
    return _shard_plan(config, source)


def open_reader(config: PretrainConfig, source: Source, rank: int, ranks: int) -> BatchReader:
    """The stream of batches of worker `rank`."""
    data = config.data
    preparation = Preparation(
        CaptionEncoder(load_tokenizer(config.tokenizer), config.max_tokens),
        config.image_size,
        Augmentation(data.crop_scale, data.crop_ratio, data.flip, config.resample),
        data.max_phrases,
        data.phrase_share,
    )
    options: _ReaderOptions = {
        "rank": rank,
        "ranks": ranks,
        "micro_batches": data.accumulation,
        "threads": data.decode_threads,
        "prefetch": data.prefetch,
        "max_bad_fraction": data.max_bad_fraction,
    }
    if isinstance(source, TarFolder):
        stream_plan = source.plan(data.batch_size, ranks)
        return StreamReader(
            source, stream_plan, preparation, seed=config.seed, buffer=data.stream_buffer, **options
        )
    shard_plan = _shard_plan(config, source)
    return Reader(source, shard_plan, preparation, read_ahead=data.shuffle_window, **options)


def _shard_plan(config: PretrainConfig, source: ShardSource) -> BatchPlan:
    return BatchPlan(source.order(config.seed, config.data.shuffle_window), config.data.batch_size)
