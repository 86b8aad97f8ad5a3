"""A cache of the results that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class BoundedCache(Generic[Key, Result]):
    """At most `limit` results by key; the least recently used one is dropped first.

    Threads may share it; two that miss the same key at the same time both compute it. A pickled cache is empty: what
    it holds can be computed again.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}; allowed are 1 and more results")
        self.limit = limit
        self._results: OrderedDict[Key, Result] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, compute: Callable[[Key], Result]) -> Result:
        """The result for `key`; `compute(key)` where it is not held."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        result = compute(key)
        with self._lock:
            self._results[key] = result
            self._results.move_to_end(key)
            if len(self._results) > self.limit:
                self._results.popitem(last=False)
        return result

    def __len__(self) -> int:
        return len(self._results)

    def __reduce__(self) -> tuple[type[BoundedCache[Key, Result]], tuple[int]]:
        return type(self), (self.limit,)
