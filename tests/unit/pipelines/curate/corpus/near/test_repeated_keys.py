from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from near_corpus import NearCorpus

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.near import repeated_keys as module
from pipelines.curate.corpus.near.repeated_keys import is_among, repeated_keys


def keys_of(rows: Rows) -> pa.Table:
    return rows.table


def corpus(seed: int) -> tuple[list[int], NearCorpus]:
    keys = np.random.default_rng(seed).integers(0, 300, 250).astype(np.uint64)
    shards = [pa.table({"key": part}) for part in np.split(keys, [10, 11, 120])]
    return keys.tolist(), NearCorpus(shards, partitions=3, seed=seed)


def test_keys_that_come_more_than_once_are_found_whatever_their_shards() -> None:
    keys, shards = corpus(0)
    found = repeated_keys(shards, ["key"], keys_of)
    assert found is not None
    assert found.get().tolist() == sorted(key for key, count in Counter(keys).items() if count > 1)


def test_more_keys_than_the_driver_may_hold_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, shards = corpus(1)
    count = sum(count > 1 for count in Counter(keys).values())
    monkeypatch.setattr(module, "MOST_KEYS", count)
    assert repeated_keys(shards, ["key"], keys_of) is not None
    monkeypatch.setattr(module, "MOST_KEYS", count - 1)
    assert repeated_keys(shards, ["key"], keys_of) is None


def test_a_key_is_among_others_as_in_a_set() -> None:
    rng = np.random.default_rng(2)
    keys, repeated = (rng.integers(0, 50, size, dtype=np.uint64) for size in (200, 20))
    keys = np.append(keys, [np.uint64(2**64 - 1)])
    assert is_among(keys, np.unique(repeated)).tolist() == [
        key in set(repeated.tolist()) for key in keys.tolist()
    ]
    assert not is_among(keys, repeated[:0]).any()
