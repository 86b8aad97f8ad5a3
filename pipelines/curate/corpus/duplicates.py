"""Exact duplicates: pairs with equal captions, equal images or both, told by all 128 bits of their hashes.

Rows meet by 64 bits of these hashes, and are compared by the others as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.mixing import mix, mix_two
from pipelines.curate.corpus.columns import halves, run_starts
from pipelines.curate.corpus.corpus import Corpus, Rows, Shared
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.hot_groups import HotGroups, Verdicts, hot_groups, shuffle_apart

Of = Literal["caption", "image", "both"]
COLUMNS: dict[Of, tuple[str, ...]] = {
    "caption": ("caption_key",),
    "image": ("image_hash",),
    "both": ("caption_key", "image_hash"),
}
"""What has to be equal, as columns of 128-bit hashes."""

ROW_BYTES = 48
"""Of a row on its way to its group: key, rank, and two to four halves of hashes."""
Numbers = npt.NDArray[np.int64]


def drop_repeats(corpus: Corpus, of: Of, *, keep_first: bool) -> None:
    """Drop the pairs that equal another, except for the earliest of each group where `keep_first`."""
    columns, select = COLUMNS[of], SelectHashes(of)
    hot = hot_groups(corpus, columns, select, ROW_BYTES)
    verdicts = None
    if hot is not None:
        counts = hot.table["count"].to_numpy()
        verdicts = Verdicts(hot, counts > 1, counts.astype(np.float64))
    reduce = DropRepeats(keep_first)
    shuffle_apart(corpus, columns, select, reduce, select, verdicts, keep_first=keep_first)


def drop_widespread(corpus: Corpus, of: Of, counted: str, limit: int) -> None:
    """Drop the pairs of each group of equal ones with more than `limit` distinct `counted` ones, a column of hashes."""
    columns, groups = [*COLUMNS[of], counted], SelectHashes(of)
    hot = hot_groups(corpus, COLUMNS[of], groups, ROW_BYTES)
    verdicts = None
    if hot is not None:
        distinct = _distinct(corpus, columns, SelectHashes(of, counted), hot)
        verdicts = Verdicts(hot, distinct > limit, distinct.astype(np.float64))
    select, reduce = SelectHashes(of, counted), DropWidespread(limit)
    shuffle_apart(corpus, columns, select, reduce, groups, verdicts, keep_first=False)


@dataclass(frozen=True)
class SelectHashes:
    """A shard's rows by the hash of what has to be equal; `key` and `same_0`, `same_1`, ... are all its bits.

    With `counted`, a column of hashes, they have its halves too, as `counted_0` and `counted_1`.
    """

    of: Of
    counted: str | None = None

    def __call__(self, rows: Rows) -> pa.Table:
        key, *same = (half for name in COLUMNS[self.of] for half in halves(rows.table[name]))
        if len(same) > 1:  # caption and image: rows of one caption alone would meet otherwise
            key = key ^ mix(same[1])
        columns = {"key": key, "rank": rows.ranks()}
        columns |= {f"same_{index}": half for index, half in enumerate(same)}
        if self.counted is not None:
            columns |= {
                f"counted_{index}": half for index, half in enumerate(halves(rows.table[self.counted]))
            }
        return pa.table(columns)


@dataclass(frozen=True)
class DropRepeats:
    """Drops the rows of every group of equal ones, except for the earliest where `keep_first`; `value` is its size."""

    keep_first: bool

    def __call__(self, table: pa.Table) -> pa.Table:
        table = _meeting(table)
        starts = run_starts(table, "key", "same_")
        sizes = np.diff(np.append(starts, table.num_rows))
        return _drops(table, starts, sizes, sizes > 1, self.keep_first)


@dataclass(frozen=True)
class DropWidespread:
    """Drops all rows of every group of equal ones with more than `limit` (at least 1) distinct `counted` ones.

    `value` is their number.
    """

    limit: int

    def __call__(self, table: pa.Table) -> pa.Table:
        table = _meeting(table)
        starts = run_starts(table, "key", "same_")
        first_of_each = run_starts(table, "key", "same_", "counted_")
        distinct = np.diff(np.searchsorted(first_of_each, np.append(starts, table.num_rows)))
        return _drops(table, starts, distinct, distinct > self.limit, keep_first=False)


def _distinct(corpus: Corpus, columns: Sequence[str], select: SelectHashes, hot: HotGroups) -> Numbers:
    """How many distinct `counted` ones each hot group has."""
    counted = SelectCounted(select, corpus.share(hot))
    rows = int(hot.table["count"].to_numpy().sum())
    parts = corpus.collect(columns, counted, drop_copies, expected_bytes=rows * counted.row_bytes)
    total = np.zeros(hot.table.num_rows, np.int64)
    for groups, counts in parts.map(_by_group):
        total[groups] += counts
    return total


@dataclass(frozen=True)
class SelectCounted:
    """A shard's distinct `counted` ones of each hot group: `group`, `counted_0`, `counted_1`."""

    select: SelectHashes
    hot: Shared[HotGroups]
    row_bytes: ClassVar[int] = 32

    def __call__(self, rows: Rows) -> pa.Table:
        table = self.select(rows)
        places = self.hot.get().places(table)
        table = table.append_column("group", pa.array(places)).filter(pa.array(places >= 0))
        key = mix_two(table["counted_0"].to_numpy(), table["group"].to_numpy().astype(np.uint64))
        names = ["group", "counted_0", "counted_1"]
        return drop_copies(table.select(names).append_column("key", pa.array(key)))


def drop_copies(table: pa.Table) -> pa.Table:
    """The distinct rows of a table `key`, `group`, `counted_0`, `counted_1`."""
    names = ["counted_1", "counted_0", "group"]
    table = table.take(np.lexsort([table[name].to_numpy() for name in names]))
    return table.take(run_starts(table, *names))


def _by_group(table: pa.Table) -> tuple[Numbers, Numbers]:
    return np.unique(table["group"].to_numpy(), return_counts=True)


def _meeting(table: pa.Table) -> pa.Table:
    """The rows that share their key with another, sorted by all columns, ranks last. Most rows of a corpus do not."""
    keys = table["key"].to_numpy()
    order = np.argsort(keys)
    keys = keys[order]
    equal = keys[1:] == keys[:-1]
    meets = np.zeros(len(keys), dtype=np.bool_)
    meets[1:] |= equal
    meets[:-1] |= equal
    table = table.take(order[meets])
    names = [name for name in table.column_names if name not in ("key", "rank")]
    return table.take(np.lexsort([table[name].to_numpy() for name in ("rank", *sorted(names), "key")]))


def _drops(
    table: pa.Table,
    starts: npt.NDArray[np.intp],
    values: Numbers,
    fails: npt.NDArray[np.bool_],
    keep_first: bool,
) -> pa.Table:
    """Drop the groups that fail, on account of their earliest pair; that one on account of the second."""
    ranks = table["rank"].to_numpy()
    sizes = np.diff(np.append(starts, len(ranks)))
    if not fails.any():
        return dropped(ranks[:0], ranks[:0])
    first = np.minimum.reduceat(ranks, starts)
    group = np.repeat(np.arange(len(starts)), sizes)
    is_first = ranks == first[group]
    second = np.minimum.reduceat(np.where(is_first, np.iinfo(np.int64).max, ranks), starts)
    others = np.where(is_first, second[group], first[group])
    chosen = fails[group] & (ranks >= 0)  # those of an earlier output stay
    if keep_first:
        chosen &= ~is_first
    return dropped(ranks[chosen], values[group][chosen], others[chosen])
