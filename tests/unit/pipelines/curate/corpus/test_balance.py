"""Coins over a shard by hand. The rule's own test has the referee."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from small_corpus import SmallCorpus, SmallShared

from data_filters.balance import coins, entry_hashes, pair_hashes
from pipelines.curate.corpus.balance import DropUnlucky, Entry, _listed_matches, balance_over_list
from pipelines.curate.corpus.corpus import DROPS, Rows


def shard(entries: list[list[int]]) -> pa.Table:
    keys = [f"{number}" for number in range(len(entries))]
    return pa.table({"entries": pa.array(entries, pa.list_(pa.int32())), "key": pa.array(keys, pa.string())})


def test_a_pair_stays_where_a_coin_of_any_of_its_entries_falls() -> None:
    table = shard([[0], [1], [0, 1], [], [2], [0, 1, 2]])
    hashes = entry_hashes(["a", "b", "c"])
    by_pair = [coins(np.repeat(pair, 3), hashes) for pair in pair_hashes(9, "s", table["key"].to_pylist())]
    entry = Entry(hashes, np.array([200, 40, 10]))
    drops = DropUnlucky(SmallShared(entry), _listed_matches, 20, 9)(Rows(0, "s", np.arange(6), table))
    expected = {
        row: float(min((entry.counts[place] for place in places), default=0))
        for row, places in enumerate(table["entries"].to_pylist())
        if all(by_pair[row][place] >= 20 / entry.counts[place] for place in places)
    }
    assert drops.schema.equals(DROPS)
    assert dict(zip(drops["rank"].to_pylist(), drops["value"].to_pylist(), strict=True)) == expected
    assert 3 in expected  # no entry
    assert 4 not in expected  # an entry that fewer than 20 pairs have
    assert 5 not in expected


def test_an_entry_of_no_pair_and_a_table_of_no_rows() -> None:
    corpus = SmallCorpus({"a": shard([]), "b": shard([[1]])}, seed=0)
    balance_over_list(corpus, entry_hashes(["x", "y", "z"]), 1, 0)
    assert corpus.drops == {}
