"""Groups of equal rows that are too large for one partition: counted beforehand, so that their rows need not meet.

A caption or a placeholder image may come a hundred million times. What becomes of its rows follows from the group's
size and its two earliest ranks, which are summed over the shards; so its drops are told where the rows lie, and go
through the exchange under keys of their own, spread over all partitions. Decisions are the same with and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_filters.mixing import mix
from pipelines.curate.corpus.columns import run_starts
from pipelines.curate.corpus.corpus import DROPS, Corpus, Reduce, Rows, Select, Shared
from pipelines.curate.corpus.heavy_keys import MergeSummaries, SummariseKeys

SIZE = 1 << 12
"""Keys that a summary holds at first (64 KiB): enough where a group of `most` rows is a 4,096th of all rows."""
NO_RANK = np.iinfo(np.int64).max
OTHER, VALUE = "decided_other", "decided_value"
"""Columns of a drop that is told already: DROPS' `other` and `value`; null in all other rows."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HotGroups:
    """Hot groups by ascending key; none where there are none.

    Columns of `table`: `key` and `same_0`, ... as a rule's `select` makes them; `count`; ranks `first` and `second`.
    """

    table: pa.Table

    def places(self, rows: pa.Table) -> Numbers:
        """The group of each row by its `key` and `same_0`, ..., -1 for none."""
        keys = self._column("key")
        places = np.minimum(np.searchsorted(keys, rows["key"].to_numpy()), len(keys) - 1)
        equal = np.ones(len(places), np.bool_)
        for name in identity(self.table):
            equal &= self._column(name)[places] == rows[name].to_numpy()
        return np.where(equal, places, -1)

    def _column(self, name: str) -> npt.NDArray[np.uint64]:
        return self.table[name].to_numpy()


@dataclass(frozen=True)
class Verdicts:
    """What becomes of each hot group: `fails` and the `value` of its drops, by its place among them."""

    groups: HotGroups
    fails: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]

    def drops(self, ranks: Numbers, places: Numbers, keep_first: bool) -> tuple[Numbers, Numbers, Numbers]:
        """Which rows of hot groups go (indices), on account of which ranks, and the place of the group of each."""
        first, second = (self.groups.table[name].to_numpy()[places] for name in ("first", "second"))
        is_first = ranks == first
        goes = self.fails[places] & (ranks >= 0)  # those of an earlier output stay
        if keep_first:
            goes &= ~is_first
        return np.flatnonzero(goes), np.where(is_first, second, first)[goes], places[goes]


def identity(table: pa.Table) -> list[str]:
    """The columns in which rows of one group are equal."""
    return [name for name in table.column_names if name == "key" or name.startswith("same_")]


def hot_groups(corpus: Corpus, columns: Sequence[str], select: Select, row_bytes: int) -> HotGroups | None:
    """The groups with as many rows as a `reduce` may get at once, or more: one pass over all shards, two if there are.

    Where the corpus is so large that a summary could miss one, a pass with a larger summary follows.

    Args:
        select: makes columns `key`, `rank`, and where keys may be equal by chance `same_0`, ....
        row_bytes: of a row on its way to its group.
    """
    most = corpus.most_rows(row_bytes)
    if most is None:
        return None
    size = SIZE
    summary = corpus.fold(columns, SummariseKeys(select, size), MergeSummaries(size))
    while summary.missed >= most:
        size *= 2 * (1 + summary.missed // most)
        summary = corpus.fold(columns, SummariseKeys(select, size), MergeSummaries(size))
    heavy = summary.may_reach(most)
    if not len(heavy):
        return None
    table = corpus.fold(columns, MeasureGroups(select, corpus.share(heavy)), merge_groups)
    table = table.filter(pc.field("count") >= most).sort_by("key")
    return HotGroups(table.combine_chunks()) if table.num_rows else None


@dataclass(frozen=True)
class MeasureGroups:
    """A shard's rows → count, first and second rank of each group whose key is `heavy`, as a table of HotGroups."""

    select: Select
    heavy: Shared[npt.NDArray[np.uint64]]

    def __call__(self, rows: Rows) -> pa.Table:
        table = self.select(rows)
        table = table.filter(pa.array(np.isin(table["key"].to_numpy(), self.heavy.get())))
        ones, none = np.ones(table.num_rows, np.int64), np.full(table.num_rows, NO_RANK)
        columns = {name: table[name] for name in identity(table)}
        return summed_groups(pa.table({**columns, "count": ones, "first": table["rank"], "second": none}))


def merge_groups(one: pa.Table, other: pa.Table) -> pa.Table:
    """Add up groups of different rows."""
    return summed_groups(pa.concat_tables([one, other]))


def summed_groups(table: pa.Table) -> pa.Table:
    """Rows of equal groups as one: the sum of the counts, the two smallest ranks."""
    names = identity(table)
    order = np.lexsort([table[name].to_numpy() for name in names])
    table = table.take(order)
    at = run_starts(table, *names)
    if not len(at):
        return table
    count, first, second = (table[name].to_numpy() for name in ("count", "first", "second"))
    least = np.minimum.reduceat(first, at)
    of_group = np.repeat(least, np.diff(np.append(at, table.num_rows)))
    later = np.minimum(second, np.where(first == of_group, NO_RANK, first))
    columns = {name: table[name].to_numpy()[at] for name in names}
    sums = {"count": np.add.reduceat(count, at), "first": least, "second": np.minimum.reduceat(later, at)}
    return pa.table(columns | sums)


@dataclass(frozen=True)
class SelectApart:
    """What `select` makes of a shard's rows without those of hot groups, whose drops are rows of their own.

    With `keep_first` the first row of a hot group takes part like any other; its copies do not.
    """

    select: Select
    groups: Select
    verdicts: Shared[Verdicts]
    keep_first: bool

    def __call__(self, rows: Rows) -> pa.Table:
        verdicts = self.verdicts.get()
        members = self.groups(rows)
        places = verdicts.groups.places(members)
        members, places = members.filter(pa.array(places >= 0)), places[places >= 0]
        ranks = members["rank"].to_numpy()
        gone = ranks
        if self.keep_first:
            gone = ranks[ranks != verdicts.groups.table["first"].to_numpy()[places]]
        stay = ~np.isin(rows.ranks(), gone)
        rest = Rows(
            rows.shard, rows.name, rows.rows[stay], rows.table.filter(pa.array(stay)), rows.is_earlier
        )
        told, others, groups = verdicts.drops(ranks, places, self.keep_first)
        return _with_decided(self.select(rest), ranks[told], others, verdicts.values[groups])


def _with_decided(
    table: pa.Table, ranks: Numbers, others: Numbers, values: npt.NDArray[np.float64]
) -> pa.Table:
    """A table with the columns OTHER and VALUE (16 bytes a row), and a row for each drop, under a key of its own."""
    count = table.num_rows
    table = table.append_column(OTHER, pa.nulls(count, pa.int64()))
    table = table.append_column(VALUE, pa.nulls(count, pa.float64()))
    known = {"key": mix(ranks.astype(np.uint64)), "rank": ranks, OTHER: others, VALUE: values}
    drops = [
        pa.array(known[field.name], field.type) if field.name in known else pa.nulls(len(ranks), field.type)
        for field in table.schema
    ]
    return pa.concat_tables([table, pa.Table.from_arrays(drops, schema=table.schema)])


@dataclass(frozen=True)
class ReduceApart:
    """What `reduce` makes of the rows that it has to judge, and the drops that are told already."""

    reduce: Reduce

    def __call__(self, table: pa.Table) -> pa.Table:
        is_told = pc.is_valid(table[OTHER])
        told = table.filter(is_told)
        rest = table.filter(pc.invert(is_told)).drop_columns([OTHER, VALUE])
        drops = self.reduce(rest.combine_chunks())
        columns = [told["rank"], told[OTHER], told[VALUE]]
        told = pa.Table.from_arrays(columns, schema=DROPS.with_metadata(drops.schema.metadata))
        return pa.concat_tables([drops, told])


def shuffle_apart(
    corpus: Corpus,
    columns: Sequence[str],
    select: Select,
    reduce: Reduce,
    groups: Select,
    verdicts: Verdicts | None,
    *,
    keep_first: bool,
) -> None:
    """`corpus.shuffle`, to the same drops, without the rows of hot groups.

    Args:
        groups: the `select` that `hot_groups` was given.
        verdicts: None where there are no hot groups.
    """
    if verdicts is None:
        corpus.shuffle(columns, select, reduce)
        return
    apart = SelectApart(select, groups, corpus.share(verdicts), keep_first)
    corpus.shuffle(columns, apart, ReduceApart(reduce))
