"""Remote shards, on fsspec's in-memory file system, with every read counted."""

import threading
import time
import uuid
from collections import Counter
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from data_filters.errors import InputError
from pretrain.data.datasets import open_data, open_reader
from pretrain.data.shards.cache import Remote, ShardCache
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


class CountingFileSystem(MemoryFileSystem):
    """memory:// under a name of its own, which remembers what was opened."""

    protocol = "counted"
    opened: ClassVar[Counter] = Counter()
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    def _open(self, path, *args, **kwargs):
        CountingFileSystem.opened[path] += 1
        return super()._open(path, *args, **kwargs)


fsspec.register_implementation("counted", CountingFileSystem, clobber=True)


@pytest.fixture
def far():
    """A fresh folder on the counting file system."""
    CountingFileSystem.opened.clear()
    return f"counted://{uuid.uuid4().hex}"


def put(uri: str, data: bytes) -> Remote:
    with fsspec.open(uri, "wb") as file:
        file.write(data)
    CountingFileSystem.opened.clear()
    return Remote(uri)


def wait_for(what) -> None:
    for _ in range(500):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def opened(shard: Remote) -> int:
    return CountingFileSystem.opened[fsspec.url_to_fs(shard.uri)[1]]


def test_a_shard_is_fetched_once(far, tmp_path):
    shard = put(f"{far}/a.tar", b"a" * 1000)
    cache = ShardCache(tmp_path, 10_000)
    assert cache.path(shard).read_bytes() == b"a" * 1000
    assert cache.path(shard).read_bytes() == b"a" * 1000
    assert ShardCache(tmp_path, 10_000).path(shard).exists()
    assert opened(shard) == 1


def test_threads_that_want_the_same_shard_fetch_it_once(far, tmp_path):
    shard = put(f"{far}/a.tar", b"a" * 100_000)
    cache = ShardCache(tmp_path, 10**6)
    threads = [threading.Thread(target=cache.path, args=(shard,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened(shard) == 1


def test_the_folder_stays_within_its_limit_and_drops_the_least_recently_used(far, tmp_path):
    shards = [put(f"{far}/{number}.tar", bytes(400)) for number in range(5)]
    cache = ShardCache(tmp_path, 1000)
    for shard in (shards[0], shards[1], shards[0], shards[2]):
        path = cache.path(shard)
        time.sleep(0.02)  # file times tell which was used last
        assert sum(one.stat().st_size for one in tmp_path.glob("*.tar")) <= 1000
        assert path.exists()
    assert {one.name for one in tmp_path.glob("*.tar")} == {shards[0].name, shards[2].name}


def test_what_is_expected_is_there_before_it_is_asked_for(far, tmp_path):
    shards = [put(f"{far}/{number}.tar", bytes(400)) for number in range(4)]
    CountingFileSystem.opened.clear()
    cache = ShardCache(tmp_path, 1000)
    cache.expect(shards)
    wait_for(lambda: all((tmp_path / shard.name).exists() for shard in shards[:2]))
    time.sleep(0.05)
    assert [opened(shard) for shard in shards] == [1, 1, 0, 0]  # no more fits
    cache.expect(shards[1:])  # the first is done with
    wait_for((tmp_path / shards[2].name).exists)
    assert not (tmp_path / shards[0].name).exists()
    assert [opened(shard) for shard in shards] == [1, 1, 1, 0]


def test_a_shard_other_than_its_manifest_says_is_refused(far, tmp_path):
    put(f"{far}/a.tar", b"a")
    with pytest.raises(ValueError, match="its manifest says 1234"):
        ShardCache(tmp_path, 1000).path(Remote(f"{far}/a.tar", "1234"))
    assert not list(tmp_path.glob("*.tar"))
    assert not list(tmp_path.glob("*.partial"))


def test_a_shard_larger_than_the_cache_is_refused(far, tmp_path):
    with pytest.raises(InputError, match="raise data.cache_gib"):
        ShardCache(tmp_path, 10).path(put(f"{far}/a.tar", bytes(11)))


def test_a_shard_that_is_gone_is_an_error_for_who_reads_it(far, tmp_path):
    cache = ShardCache(tmp_path, 1000)
    cache.expect([Remote(f"{far}/none.tar")])
    with pytest.raises(OSError, match="none"):
        cache.path(Remote(f"{far}/none.tar"))


# --- through a reader ---------------------------------------------------------------------------------


def upload(local: str, uri: str) -> None:
    fs = fsspec.url_to_fs(uri)[0]
    fs.put(local, fsspec.url_to_fs(uri)[1], recursive=True)
    CountingFileSystem.opened.clear()


def keys(uri: str, folder, first: int, last: int, gib: float) -> list[list[str]]:
    config = DualEncoderConfig.model_validate(
        {
            "model": {"image": {"image_size": 32}},
            "data": {"batch_size": 8, "shuffle_window": 20, "cache_gib": gib, "cache_folder": str(folder)},
        }
    )
    one = open_reader(config, open_data(config, uri), 0, 1)
    return [[key for batch in step for key in batch.keys] for step in one.batches(first, last)]


@pytest.fixture
def shards(pair):
    return [[pair(shard * 10 + row) for row in range(10)] for shard in range(8)]


def test_a_remote_dataset_reads_as_the_local_one_each_shard_once_an_epoch(committed, shards, far, tmp_path):
    local = committed(shards)
    upload(local, far)
    assert keys(far, tmp_path / "cache", 0, 10, 1) == keys(local, tmp_path / "none", 0, 10, 1)
    counts = {path: count for path, count in CountingFileSystem.opened.items() if path.endswith(".tar")}
    assert counts == {fsspec.url_to_fs(f"{far}/{number:05d}.tar")[1]: 1 for number in range(8)}
    assert not (tmp_path / "none").exists()


def test_a_small_cache_still_reads_all(committed, shards, far, tmp_path):
    local = committed(shards)
    upload(local, far)
    size = max(path.stat().st_size for path in (tmp_path / "curated").glob("*.tar"))
    got = keys(far, tmp_path / "cache", 0, 10, 3.2 * size / 2**30)
    assert got == keys(local, tmp_path / "none", 0, 10, 1)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.tar")) <= 3.2 * size


def test_remote_tars_without_manifests(committed, shards, far, tmp_path):
    local = committed(shards)
    for manifest in (tmp_path / "curated" / "manifests").iterdir():
        manifest.unlink()
    (tmp_path / "curated" / "manifests").rmdir()
    upload(local, far)
    assert keys(far, tmp_path / "cache", 0, 12, 1) == keys(local, tmp_path / "none", 0, 12, 1)


def test_shards_come_before_the_reader_reaches_them(committed, shards, far, tmp_path):
    upload(committed(shards), far)
    cache = tmp_path / "cache"
    config = DualEncoderConfig.model_validate(
        {
            "model": {"image": {"image_size": 32}},
            "data": {"batch_size": 8, "shuffle_window": 20, "prefetch": 1, "cache_folder": str(cache)},
        }
    )
    batches = open_reader(config, open_data(config, far), 0, 1).batches(0, 10)
    next(batches)
    # One step taken, one ready, one in hand: 24 positions, two windows of two shards. The third window is ahead.
    wait_for(lambda: len(list(cache.glob("*.tar"))) >= 6)
    batches.close()
