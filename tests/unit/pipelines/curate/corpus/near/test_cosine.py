import numpy as np
import pytest

from pipelines.curate.corpus.counts import counts_of
from pipelines.curate.corpus.near import cosine
from pipelines.curate.corpus.near.buckets import BEYOND, OVERSIZED
from pipelines.curate.corpus.near.cosine import similar_in_cells


def corpus(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, ranks and embeddings, half of them near an earlier one at all similarities."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(400, 24))
    for row in range(200, 400):
        vectors[row] = vectors[rng.integers(0, row)] + rng.uniform(0, 0.5) * rng.normal(size=24)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return rng.integers(0, 3, 400).astype(np.uint64), rng.permutation(400) - 40, vectors.astype(np.float16)


@pytest.mark.parametrize(("rows", "block"), [(1024, 4096), (7, 5)])
@pytest.mark.parametrize("cap", [1000, 50])
def test_drops_are_those_of_all_products(
    rows: int, block: int, cap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosine, "_ROWS", rows)
    monkeypatch.setattr(cosine, "_BLOCK", block)
    key, rank, vectors = corpus(cap)
    wide = vectors.astype(np.longdouble)
    wide /= np.sqrt((wide**2).sum(axis=1, keepdims=True))
    similarity = wide @ wide.T
    limit = 0.97
    expected = {}
    for one in range(400):
        before = sorted((rank[i], i) for i in range(400) if key[i] == key[one] and rank[i] < rank[one])[:cap]
        hits = [(r, i) for r, i in before if similarity[one, i] >= limit]
        if hits and rank[one] >= 0:
            expected[rank[one]] = (hits[0][0], similarity[one, hits[0][1]])
    table = similar_in_cells(key, rank, vectors, limit, cap)
    got = {row["rank"]: (row["other"], row["value"]) for row in table.to_pylist()}
    assert got.keys() == expected.keys()
    assert len(expected) > 15
    assert all(got[r][0] == expected[r][0] and abs(got[r][1] - expected[r][1]) < 1e-12 for r in got)
    sizes = np.bincount(key.astype(int))
    beyond = np.maximum(sizes - 1 - cap, 0)
    assert counts_of(table) == {OVERSIZED: int((beyond > 0).sum()), BEYOND: int(beyond.sum())}


def test_a_cosine_just_at_the_limit_is_similar_and_just_below_is_not() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [1, 0]], np.float16)
    exact = float(np.float16(0.6)) / np.hypot(float(np.float16(0.6)), float(np.float16(0.8)))
    key, rank = np.zeros(2, np.uint64), np.arange(2)
    assert len(similar_in_cells(key, rank, vectors[:2], exact, 9)) == 1
    assert len(similar_in_cells(key, rank, vectors[:2], np.nextafter(exact, 2), 9)) == 0


def test_no_rows_give_no_drops() -> None:
    empty = np.zeros(0, np.int64)
    assert len(similar_in_cells(empty.astype(np.uint64), empty, np.zeros((0, 4), np.float16), 0.9, 5)) == 0
