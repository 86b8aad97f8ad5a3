"""A small corpus in memory, rules over it, and what they must drop, found by loops over rows with dictionaries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.corpus import DROPS, Corpus, Rows
from pipelines.curate.corpus.source import TablesInMemory

VALUES = 40  # distinct captions


def small_corpus(shards: int, seed: int, rows: int = 60) -> TablesInMemory:
    """Shards of 0 to `rows` rows: `caption` (a number, often repeated) and `width`; a tenth fails a per-pair rule."""
    generator = np.random.default_rng(seed)
    tables, masks = {}, {}
    for shard in range(shards):
        count = int(generator.integers(0, rows + 1)) if shard else 0  # the first one is empty
        columns = {"caption": generator.integers(0, VALUES, count), "width": generator.integers(0, 9, count)}
        tables[f"shard-{shard:03}"] = pa.table(columns)
        masks[f"shard-{shard:03}"] = generator.random(count) > 0.1
    return TablesInMemory(tables, masks)


def captions(rows: Rows) -> pa.Table:
    """Select: the caption's number, mixed, as key; the rank."""
    caption = rows.table.column("caption").to_numpy().astype(np.uint64)
    return pa.table({"key": caption * np.uint64(0x9E3779B97F4A7C15), "rank": rows.ranks()})


def all_but_first(table: pa.Table) -> pa.Table:
    """Reduce: drop every row of a key but that of the smallest rank; the value is how many rows have the key.

    Of the rows of earlier outputs it returns drops too, and each row twice, on account of two others.
    """
    key, rank = (table.column(name).to_numpy() for name in ("key", "rank"))
    drops: list[tuple[int, int, float]] = []
    for value in np.unique(key):
        ranks = np.sort(rank[key == value]).tolist()
        for row in ranks[1:]:
            drops += [(row, ranks[0], len(ranks)), (row, ranks[-1], -1.0)]
    drops.sort(key=lambda drop: -drop[2])
    return pa.Table.from_pylist([dict(zip(DROPS.names, drop, strict=True)) for drop in drops], DROPS)


@dataclass(frozen=True)
class Counting:
    """Reduce: `all_but_first` that counts its rows under a name, or 0 where there are fewer than `least`."""

    name: str
    least: int = 0

    def __call__(self, table: pa.Table) -> pa.Table:
        drops = all_but_first(table)
        count = table.num_rows if table.num_rows >= self.least else 0
        return drops.replace_schema_metadata({b"counts": f'{{"{self.name}": {count}}}'})


def narrow(rows: Rows) -> pa.Table:
    """Fails: rows of width 0, worst first."""
    width = rows.table.column("width").to_numpy()
    rank = rows.ranks()[width == 0][::-1]
    return pa.table([rank, np.full(len(rank), -1), np.zeros(len(rank))], schema=DROPS)


def widths(rows: Rows) -> Counter[int]:
    """Measure: how often each width comes."""
    return Counter(rows.table.column("width").to_pylist())


def added(first: Counter[int], second: Counter[int]) -> Counter[int]:
    return first + second


def key_counts(table: pa.Table) -> pa.Table:
    """Reduce: a row for each key, with the number of its rows."""
    keys, counts = np.unique(table.column("key").to_numpy(), return_counts=True)
    return pa.table({"key": keys, "count": counts})


def as_dict(table: pa.Table) -> dict[int, int]:
    return dict(zip(table.column("key").to_pylist(), table.column("count").to_pylist(), strict=True))


@dataclass(frozen=True)
class OfCommonCaptions:
    """Fails: rows whose key is in a shared sorted array."""

    keys: Any

    def __call__(self, rows: Rows) -> pa.Table:
        found = np.isin(captions(rows).column("key").to_numpy(), self.keys.get())
        rank = rows.ranks()[found]
        return pa.table([rank, np.full(len(rank), -1), np.ones(len(rank))], schema=DROPS)


def drop_narrow(corpus: Corpus) -> None:
    corpus.choose(["width"], narrow)


def keep_first(corpus: Corpus) -> None:
    corpus.shuffle(["caption"], captions, all_but_first)


@dataclass
class DropCommon:
    """Count widths and captions, then drop the captions that come `least` times or more; remembers what it counted."""

    least: int
    widths: Counter[int] | None = None
    counts: dict[int, int] | None = None

    def __call__(self, corpus: Corpus) -> None:
        self.widths = corpus.fold(["width"], widths, added)
        parts = corpus.collect(["caption"], captions, key_counts).map(as_dict)
        self.counts = {key: count for part in parts for key, count in part.items()}
        assert sum(len(part) for part in parts) == len(self.counts), "a key lies in one table"
        common = sorted(key for key, count in self.counts.items() if count >= self.least)
        shared = corpus.share(np.array(common, np.uint64))
        corpus.choose(["caption"], OfCommonCaptions(shared))


Row = tuple[int, int, int]  # rank, caption, width
Drops = dict[int, tuple[int, float]]  # rank → other, value


def rows_of(source: TablesInMemory, is_earlier: bool = False) -> list[Row]:
    """The rows that pass the per-pair rules."""
    found = []
    for shard in range(source.count):
        table = source.load(shard, ["caption", "width"]).to_pylist()
        for place, (row, passes) in enumerate(zip(table, source.passing(shard).tolist(), strict=True)):
            if passes:
                rank = shard * 2**32 + place - (2**62 if is_earlier else 0)
                found.append((rank, row["caption"], row["width"]))
    return found


def dropped_narrow(rows: list[Row]) -> Drops:
    return {rank: (-1, 0.0) for rank, _, width in rows if width == 0 and rank >= 0}


def dropped_again(rows: list[Row]) -> Drops:
    """What `keep_first` must drop."""
    times = Counter(caption for _, caption, _ in rows)
    first: dict[int, int] = {}
    drops: Drops = {}
    for rank, caption, _ in sorted(rows):
        if first.setdefault(caption, rank) != rank and rank >= 0:
            drops[rank] = (first[caption], float(times[caption]))
    # The last of a key names itself once; the first of a key is the smaller other.
    return drops


def dropped_common(rows: list[Row], least: int) -> Drops:
    times = Counter(caption for _, caption, _ in rows)
    return {rank: (-1, 1.0) for rank, caption, _ in rows if times[caption] >= least and rank >= 0}


def without(rows: list[Row], drops: Drops) -> list[Row]:
    return [row for row in rows if row[0] not in drops]


def drops_of(engine: Any, rule: int, shards: int) -> Drops:
    """What an engine says, in its order of ranks."""
    found: Drops = {}
    for shard in range(shards):
        table = engine.drops(rule, shard)
        assert table.schema == DROPS
        ranks = table.column("rank").to_pylist()
        assert ranks == sorted(set(ranks))
        assert all(rank >> 32 == shard for rank in ranks)
        values = zip(table.column("other").to_pylist(), table.column("value").to_pylist(), strict=True)
        found |= dict(zip(ranks, values, strict=True))
    return found


def check_rules(engine: Any, source: TablesInMemory, earlier: TablesInMemory | None) -> None:
    """Run four rules on an engine of these shards, and compare the drops of each with loops over rows."""
    rows = rows_of(source) + (rows_of(earlier, True) if earlier else [])
    common = DropCommon(least=6)
    steps = [
        (drop_narrow, dropped_narrow),
        (common, lambda rows: dropped_common(rows, 6)),
        (lambda corpus: None, lambda rows: {}),
        (keep_first, dropped_again),
    ]
    for number, (decide, referee) in enumerate(steps):
        assert engine.run(decide) == number
        expected = referee(rows)
        assert drops_of(engine, number, source.count) == expected
        assert expected or decide is steps[2][0], "the corpus has something for every rule"
        if decide is common:
            assert common.widths == Counter(width for _, _, width in rows)
            assert sorted(common.counts.values()) == sorted(Counter(row[1] for row in rows).values())
        rows = without(rows, expected)
