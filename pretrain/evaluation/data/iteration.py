"""Iterates over data in batches, or with progress reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Progress = Callable[[int, int | None], None]
"""Called with (images done, images in all where that is known)."""


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def with_progress(items: Iterable[Item], progress: Progress | None, total: int | None) -> Iterator[Item]:
    """The first `total` items, or all; `progress` is called after each one has been used."""
    for done, item in enumerate(islice(items, total), 1):
        yield item
        if progress is not None:
            progress(done, total)
