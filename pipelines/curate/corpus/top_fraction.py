"""The pairs with the highest score, exactly, in nine passes over the scores at most and without a sort of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.errors import InputError
from data_filters.mixing import Hashes
from pipelines.curate.corpus.corpus import Corpus, Rows
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.nth_smallest import Counts, Place, add, count_digits, nth_smallest

_SIGN = np.uint64(1 << 63)
_LAST_RANK = (1 << 63) - 1


def keep_highest(corpus: Corpus, column: str, kept: Callable[[int], int]) -> None:
    """Keep `kept(n)` of the n pairs, at least one: those with the highest score; of equal scores the earlier pairs.

    NaN and null are below all other scores. Pairs of an earlier output are not among the n, since they were chosen
    once, out of more pairs than are left of them.
    """
    worst = _nth(corpus, column, None, kept)
    if worst is None:
        return
    last = _LAST_RANK
    if worst.taken < worst.equal:
        tied = _nth(corpus, column, worst.key, lambda _: worst.taken)
        assert tied is not None
        last = tied.key
    corpus.choose([column], _Worse(column, worst.key, last))


def _nth(corpus: Corpus, column: str, equal_to: int | None, nth: Callable[[int], int]) -> Place | None:
    """The n-th pair by its score, from the highest, or by its rank among the pairs whose key is `equal_to`."""
    return nth_smallest(
        lambda prefix, digit: corpus.fold([column], _Digits(column, equal_to, prefix, digit), add), nth
    )


@dataclass(frozen=True)
class _Digits:
    """Counts a digit of the keys of a shard's scores, or of the ranks of those with the key `equal_to`."""

    column: str
    equal_to: int | None
    prefix: int
    digit: int

    def __call__(self, rows: Rows) -> Counts:
        keys = descending_keys(scores_of(rows.table, self.column))
        if self.equal_to is not None:
            keys = rows.ranks()[keys == np.uint64(self.equal_to)].astype(np.uint64)
        return count_digits(keys[:0] if rows.is_earlier else keys, self.prefix, self.digit)


@dataclass(frozen=True)
class _Worse:
    """Drops the pairs of a shard that come after the last one kept: the one of this key and this rank."""

    column: str
    key: int
    rank: int

    def __call__(self, rows: Rows) -> pa.Table:
        scores = scores_of(rows.table, self.column)
        keys, ranks = descending_keys(scores), rows.ranks()
        after = (keys > np.uint64(self.key)) | ((keys == np.uint64(self.key)) & (ranks > self.rank))
        after &= not rows.is_earlier
        return dropped(ranks[after], scores[after])


def scores_of(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """A column of numbers as float64, null as NaN. Raises InputError where it holds none, such as `format`."""
    kind = table[column].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InputError(
            f"score is {column}, a column of {kind}; top_fraction orders pairs by a number; name a column of numbers"
        )
    return table[column].cast(pa.float64()).to_numpy()


def descending_keys(scores: npt.NDArray[np.float64]) -> Hashes:
    """64-bit keys in the opposite order of scores: that of the highest is the smallest, that of NaN above all others.

    The bits of float64, as integers, are ordered as its values are once those of negative numbers are inverted and the
    sign bit of all others is set.
    """
    bits = np.where(scores == 0, 0.0, scores).view(np.uint64)  # -0.0 becomes 0.0, its equal
    ascending = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return np.where(np.isnan(scores), ~np.uint64(0), ~ascending)
