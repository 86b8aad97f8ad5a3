"""The least recently used result goes first; threads share one cache; a copy starts empty."""

import pickle
import threading
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.bounded_cache import BoundedCache


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 4))
def test_computes_when_lru_cache_would(keys, limit):
    """`functools.lru_cache` is the referee."""
    ours, theirs = [], []
    cache = BoundedCache(limit)

    @lru_cache(maxsize=limit)
    def referee(key):
        theirs.append(key)
        return key * 10

    def compute(key):
        ours.append(key)
        return key * 10

    for key in keys:
        assert cache.get(key, compute) == referee(key)
        assert len(cache) <= limit
    assert ours == theirs


def test_a_pickled_cache_is_empty_and_works():
    cache = BoundedCache(2)
    cache.get("a", lambda key: threading.Lock())  # what it holds need not pickle
    copy = pickle.loads(pickle.dumps(cache))
    assert (len(cache), len(copy), copy.limit) == (1, 0, 2)
    assert copy.get("a", str.upper) == "A"


def test_an_error_is_raised_and_not_kept():
    cache = BoundedCache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get(0, lambda key: 1 / key)
    assert cache.get(0, lambda key: "computed") == "computed"


def test_threads_read_right_results_while_entries_are_dropped():
    cache, wrong = BoundedCache(3), []

    def look():
        for number in range(3000):
            key = number * 7 % 11
            if cache.get(key, lambda key: key**2) != key**2:
                wrong.append(key)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache) == 3


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="limit is 0; allowed are 1 and more"):
        BoundedCache(0)
