"""Of contents that many rows have, the earliest alone goes through the exchange; drops stay the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from near_corpus import NearCorpus

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.dropped import dropped
from pipelines.curate.corpus.near.hot_copies import shuffle_without_copies


def contents(rows: Rows) -> pa.Table:
    return pa.table({"key": rows.table["key"], "rank": rows.ranks()})


def copies(table: pa.Table) -> pa.Table:
    """Drops every row of a key but the earliest, on its account, at distance 0; negative ranks stay."""
    keys, ranks = table["key"].to_numpy(), table["rank"].to_numpy()
    first = {key: int(ranks[keys == key].min()) for key in np.unique(keys)}
    others = np.array([first[key] for key in keys], np.int64)
    gone = (ranks != others) & (ranks >= 0)
    return dropped(ranks[gone], np.zeros(int(gone.sum())), others[gone])


def test_copies_of_hot_contents_go_on_account_of_the_earliest() -> None:
    draw = np.random.default_rng(0)
    keys = np.where(draw.random(300) < 0.4, 7, draw.integers(100, 180, 300)).astype(np.uint64)
    shards = [pa.table({"key": part}) for part in np.split(keys, [50, 51, 190])]
    for earlier in ([], [pa.table({"key": np.array([7, 7, 120], np.uint64)})]):
        plain, apart = (
            NearCorpus(shards, earlier=earlier, partitions=3, seed=1, most=most) for most in (None, 20)
        )
        for corpus in (plain, apart):
            shuffle_without_copies(corpus, ["key"], contents, copies, contents, 16, equal=0.0)
        assert plain.drops == apart.drops
        assert len(plain.drops) > 100
