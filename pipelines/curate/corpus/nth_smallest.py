"""Finds the n-th smallest of 64-bit keys that lie apart, exactly, by counting their digits: no sort of all of them.

A key has four digits of 16 bits. A round counts, by one digit, the keys that agree with the answer in the digits before
it; so an answer takes four rounds, and what travels is at most 65,536 counts from each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_filters.mixing import Hashes

ROUNDS = 4
BITS = 16


class Counts(NamedTuple):
    """How often each of some int64 `values`, which are in ascending order, occurs."""

    values: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Place(NamedTuple):
    """The n-th smallest key, how many keys are equal to it, and how many of these are among the n smallest."""

    key: int
    equal: int
    taken: int


def count(values: npt.NDArray[np.int64]) -> Counts:
    """Count each of some values, in any order."""
    return Counts(*np.unique(values, return_counts=True))


def added(parts: Iterable[Counts]) -> Counts:
    """Add up the counts of all parts, of which there may be none."""
    return reduce(add, parts, Counts(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)))


def add(first: Counts, second: Counts) -> Counts:
    """Add up counts."""
    values = np.concatenate([first.values, second.values])
    counts = np.concatenate([first.counts, second.counts])
    order = np.argsort(values, kind="stable")
    return _summed(values[order], counts[order])


def count_digits(keys: Hashes, prefix: int, digit: int) -> Counts:
    """Count the digit number `digit` (0: the highest) of the keys whose digits before it make the number `prefix`."""
    shifted = keys >> np.uint64(BITS * (ROUNDS - 1 - digit))
    chosen = shifted if digit == 0 else shifted[(shifted >> np.uint64(BITS)) == np.uint64(prefix)]
    return count((chosen & np.uint64((1 << BITS) - 1)).astype(np.int64))


def nth_smallest(histogram: Callable[[int, int], Counts], nth: Callable[[int], int]) -> Place | None:
    """Find a key by rounds of `histogram(prefix, digit)`, the sum of `count_digits` over all parts.

    `nth` tells from the number of keys which is wanted, from 1 to that number. None where there is no key.
    """
    prefix = below = equal = 0
    wanted = 0
    for digit in range(ROUNDS):
        values, counts = histogram(prefix, digit)
        if digit == 0:
            total = int(counts.sum())
            if total == 0:
                return None
            wanted = nth(total)
            assert 1 <= wanted <= total
        upto = np.cumsum(counts)
        place = int(np.searchsorted(upto, wanted - below))
        equal = int(counts[place])
        below += int(upto[place]) - equal
        prefix = (prefix << BITS) | int(values[place])
    return Place(prefix, equal, wanted - below)


def _summed(values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Counts:
    """Sum the counts of equal neighbours."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])
    return Counts(values[starts], np.add.reduceat(counts, starts) if len(starts) else counts)
