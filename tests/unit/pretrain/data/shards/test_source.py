"""Committed shards of several datasets, and the samples in them."""

import json
import pickle
import tarfile
import tempfile
from pathlib import Path

import pytest

from data_filters.errors import InputError
from pretrain.data.order.sample_order import SampleOrder
from pretrain.data.shards.cache import ShardCache
from pretrain.data.shards.source import OPEN_INDEXES, CacheOptions, is_local, open_source


@pytest.fixture
def two(committed, pair):
    """URIs of a dataset of 2 + 3 samples and of one of 4."""
    first = committed([[pair(0), pair(1)], [pair(2), pair(3), pair(4)]], "first")
    return first, committed([[pair(number) for number in range(10, 14)]], "second")


def test_shards_are_those_of_the_manifests_dataset_after_dataset(two):
    source = open_source(*two)
    manifests = [json.loads((Path(uri) / "manifests" / "all.json").read_text()) for uri in two]
    outputs = [output for manifest in manifests for output in manifest["outputs"]]
    assert source.shard_sizes == tuple(output["samples"] for output in outputs) == (2, 3, 4)
    assert [shard.sha256 for shard in source.found()] == [output["sha256"] for output in outputs]
    assert [shard.samples for shard in source.found()] == [2, 3, 4]
    assert source.shares() is None
    assert source.uri == f"{two[0]}, {two[1]}"
    assert source.remarks() == []


def test_a_tar_without_a_manifest_is_not_read(two):
    (Path(two[0]) / "stray.tar").write_bytes((Path(two[0]) / "00000.tar").read_bytes())
    assert open_source(two[0]).shard_sizes == (2, 3)


def test_every_sample_is_that_of_its_tar(two):
    source = open_source(*two)
    for shard, committed_shard in enumerate(source.shards):
        with tarfile.open(committed_shard.uri) as tar:
            captions = [tar.extractfile(entry).read() for entry in tar if entry.name.endswith(".txt")]
        read = [source.read(shard, row).caption.encode() for row in range(source.shard_sizes[shard])]
        assert read == captions


def test_orders_have_the_seed_and_the_sizes(two):
    source = open_source(*two)
    assert source.order(5, 16) == SampleOrder((2, 3, 4), 5, 16)
    mixture = open_source(f"{two[0]}=1", f"{two[1]}=3").order(5, 16)
    assert mixture.orders == (SampleOrder((2, 3), 5, 16), SampleOrder((4,), 6, 16))
    assert mixture.shares == (250, 750)
    assert mixture.seed == 5


def test_a_used_source_pickles_and_reads_the_same(two):
    source = open_source(*two)
    caption = source.read(1, 2).caption
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert copy.read(1, 2).caption == caption


def test_no_more_indexes_are_in_memory_than_allowed(committed, pair):
    count = OPEN_INDEXES + 5
    source = open_source(committed([[pair(number)] for number in range(count)]))
    keys = [source.read(shard, 0).key for shard in range(count)]
    assert keys == [f"{number:04d}" for number in range(count)]
    assert len(source._indexes) == OPEN_INDEXES
    assert source.read(0, 0).key == "0000"


def test_phrases_must_be_in_every_dataset(committed, pair, two):
    key, members = pair(0)
    phrases = [{"text": "picture", "start": 0, "end": 7}]
    with_phrase = (key, members | {"json": json.dumps({"loupe": {"phrases": phrases}}).encode()})
    described = committed([[pair(5), with_phrase]], "described")
    assert open_source(described).has_phrases()
    assert not open_source(described).has_phrases(look=1)
    assert not open_source(described, two[0]).has_phrases()


def test_a_folder_without_samples_is_refused(two, committed):
    empty = committed([[]], "empty")
    with pytest.raises(InputError, match="name no samples"):
        open_source(two[0], empty)


def test_the_cache_lies_in_its_folder_or_in_that_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "system"))
    given = CacheOptions(1000, str(tmp_path / "given")).open()
    assert isinstance(given, ShardCache)
    assert (given.folder, given.limit) == (tmp_path / "given", 1000)
    default = CacheOptions(1000).open()
    assert default.folder.parent == tmp_path / "system"
    assert default.folder.name.startswith("loupe-shards-")


@pytest.mark.parametrize(
    ("uri", "local"), [("/a/b.tar", True), ("file:///a/b.tar", True), ("memory://a/b.tar", False)]
)
def test_local_uris_are_files_of_this_machine(uri, local):
    assert is_local(uri) == local
