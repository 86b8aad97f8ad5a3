"""Summaries of keys: what they promise holds in whatever order they are merged."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.heavy_keys import KeySummary, MergeSummaries, SummariseKeys


def whole(rows: Rows) -> pa.Table:
    return rows.table


def summarised(parts: list[np.ndarray], size: int, seed: int) -> KeySummary:
    draw = np.random.default_rng(seed)
    summaries = []
    for part in parts:
        rows = Rows(0, "a", np.arange(len(part)), pa.table({"key": part}))
        summaries.append(SummariseKeys(whole, size)(rows))
    while len(summaries) > 1:
        first, second = (summaries.pop(int(draw.integers(len(summaries)))) for _ in range(2))
        summaries.append(MergeSummaries(size)(first, second))
    return summaries[0]


@pytest.mark.parametrize("size", [1, 5, 40, 10_000])
@pytest.mark.parametrize("seed", range(8))
def test_counts_are_too_small_by_what_is_said_and_that_is_bounded(size: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    keys = np.concatenate([draw.zipf(1.3, 4000) % 5000, np.repeat([5001, 5002], [900, 300])]).astype(
        np.uint64
    )
    draw.shuffle(keys)
    parts = np.split(keys, np.sort(draw.integers(0, len(keys), 12)))
    found = summarised(parts, size, seed)
    true = Counter(keys.tolist())
    listed = dict(zip(found.keys.tolist(), found.counts.tolist(), strict=True))
    assert len(listed) <= size
    assert (np.diff(found.keys) > 0).all()
    assert found.missed <= len(keys) / (size + 1)
    for key, count in true.items():
        assert count - found.missed <= listed.get(key, 0) <= count
    for least in (found.missed + 1, 500, 1000):
        heavy = set(found.may_reach(least).tolist())
        assert {key for key, count in true.items() if count >= max(least, found.missed + 1)} <= heavy
    if size == 10_000:
        assert listed == true


def test_no_rows_make_an_empty_summary() -> None:
    found = summarised([np.zeros(0, np.uint64)] * 2, 3, 0)
    assert len(found.keys) == found.missed == 0
