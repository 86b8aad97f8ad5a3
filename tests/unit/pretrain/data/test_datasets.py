"""What a URI names, and the settings of a recipe that reach the reader."""

import shutil
from pathlib import Path

import pytest

from data_filters.errors import InputError
from pretrain.data.datasets import open_data, open_reader, plan_batches
from pretrain.data.order.mixture import MixedOrder
from pretrain.data.order.sample_order import SampleOrder
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.source import ShardSource
from pretrain.data.webdataset.reader import StreamReader
from pretrain.data.webdataset.tar_folder import TarFolder
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def config(**data) -> DualEncoderConfig:
    return DualEncoderConfig.model_validate(
        {"seed": 3, "model": {"image": {"image_size": 32}}, "data": {"batch_size": 8, **data}}
    )


@pytest.fixture
def shards(committed, pair) -> str:
    return committed([[pair(number) for number in range(start, start + 10)] for start in (0, 10)], "shards")


@pytest.fixture
def tars(committed, pair) -> str:
    folder = committed([[pair(number) for number in range(start, start + 10)] for start in (0, 10)], "tars")
    shutil.rmtree(Path(folder) / "manifests")
    return folder


def test_manifests_decide_what_a_folder_is(shards, tars):
    assert isinstance(open_data(config(), shards), ShardSource)
    assert isinstance(open_data(config(), [shards]), ShardSource)
    assert isinstance(open_data(config(), tars), TarFolder)
    assert isinstance(open_data(config(), f"{tars}=2"), TarFolder)


def test_several_folders_are_a_mixture_and_need_manifests(shards, tars, committed, pair):
    other = committed([[pair(number) for number in range(100, 130)]], "other")
    source = open_data(config(), [f"{shards}=1", f"{other}=3"])
    assert [dataset.weight for dataset in source.datasets] == [1.0, 3.0]
    with pytest.raises(InputError, match="holds no manifests"):
        open_data(config(), [shards, tars])


def test_the_cache_is_that_of_the_recipe(shards, tars, tmp_path):
    settings = config(cache_gib=0.5, cache_folder=str(tmp_path / "copies"))
    for uri in (shards, tars):
        options = open_data(settings, uri).cache_options
        assert (options.limit, options.folder) == (2**29, str(tmp_path / "copies"))


def test_the_plan_has_the_seed_window_and_batch_of_the_recipe(shards, tars):
    settings = config(shuffle_window=7)
    plan = plan_batches(settings, open_data(settings, shards), 2)
    assert plan.order == SampleOrder((10, 10), 3, 7)
    assert (plan.batch_size, plan.steps_per_epoch) == (8, 2)
    stream = plan_batches(settings, open_data(settings, tars), 2)
    assert (stream.batch_size, stream.steps_per_epoch) == (8, 2)
    mixture = open_data(settings, [f"{shards}=1", f"{shards}=1"])
    assert isinstance(plan_batches(settings, mixture, 1).order, MixedOrder)


def test_the_readers_have_the_settings_of_the_recipe(shards, tars):
    settings = config(
        accumulation=2, decode_threads=3, prefetch=5, max_bad_fraction=0.25, shuffle_window=6, stream_buffer=9
    )
    for uri in (shards, tars):
        reader = open_reader(settings, open_data(settings, uri), 1, 2)
        assert (reader.rank, reader.ranks, reader.micro_batches, reader.threads) == (1, 2, 2, 3)
        assert (reader.prefetch, reader.max_bad_fraction) == (5, 0.25)
        assert reader.preparation.image_size == 32
        assert reader.preparation.max_phrases == settings.data.max_phrases
        if isinstance(reader, Reader):
            assert reader.read_ahead == 6
        else:
            assert isinstance(reader, StreamReader)
            assert (reader.seed, reader.buffer) == (3, 9)


def test_captions_are_cut_at_the_recipes_limit(shards):
    settings = DualEncoderConfig.model_validate(
        {"model": {"image": {"image_size": 32}, "text": {"max_tokens": 4}}, "data": {"batch_size": 8}}
    )
    (batch,) = next(open_reader(settings, open_data(settings, shards), 0, 1).batches(0, 1))
    assert batch.input_ids.shape == (8, 4)


def test_less_than_a_step_is_refused(shards, tars):
    for uri in (shards, tars):
        with pytest.raises(InputError, match="data.batch_size is 30"):
            plan_batches(config(batch_size=30), open_data(config(), uri), 1)
