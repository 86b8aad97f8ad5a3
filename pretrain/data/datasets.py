"""What `--data` names, opened: committed shards, a mixture of several, or plain tars."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.shards.manifest import committed_shards
from pretrain.config import PretrainConfig
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.source import GIB, CacheOptions, ShardSource, open_source, split_weight
from pretrain.data.webdataset.reader import StreamReader
from pretrain.data.webdataset.tar_folder import StreamPlan, TarFolder, open_tars

Source = ShardSource | TarFolder


def open_data(config: PretrainConfig, data: str | Sequence[str]) -> Source:
    """The data that one `URI`, or several `URI` or `URI=WEIGHT`, name.

    A single folder without manifests is read as a plain WebDataset. Raises InputError when there is nothing to read.
    """
    wanted = [data] if isinstance(data, str) else list(data)
    cache = CacheOptions(int(config.data.cache_gib * GIB), config.data.cache_folder)
    if len(wanted) == 1:
        uri, _ = split_weight(wanted[0])
        if not committed_shards(uri):
            return open_tars(uri, cache)
    return open_source(*wanted, cache=cache)


def plan_batches(config: PretrainConfig, source: Source, ranks: int) -> BatchPlan | StreamPlan:
    """How the data is cut into steps. Raises InputError when it does not make one."""
    if isinstance(source, TarFolder):
        return source.plan(config.data.batch_size, ranks)
    return BatchPlan(source.order(config.seed, config.data.shuffle_window), config.data.batch_size)


def open_reader(config: PretrainConfig, source: Source, rank: int, ranks: int) -> Reader | StreamReader:
    """Worker `rank`'s stream of batches."""
    data = config.data
    preparation = Preparation(
        CaptionEncoder(load_tokenizer(config.tokenizer), config.max_tokens),
        config.image_size,
        Augmentation(data.crop_scale, data.crop_ratio, data.flip),
        data.max_phrases,
        data.phrase_share,
    )
    shared = {
        "rank": rank,
        "ranks": ranks,
        "micro_batches": data.accumulation,
        "threads": data.decode_threads,
        "prefetch": data.prefetch,
        "max_bad_fraction": data.max_bad_fraction,
    }
    plan = plan_batches(config, source, ranks)
    if isinstance(source, TarFolder):
        assert isinstance(plan, StreamPlan)
        return StreamReader(source, plan, preparation, seed=config.seed, buffer=data.stream_buffer, **shared)
    assert isinstance(plan, BatchPlan)
    return Reader(source, plan, preparation, read_ahead=data.shuffle_window, **shared)
