"""Near embeddings against all products of the pairs of a cell."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from near_corpus import NearCorpus

from pipelines.curate.rules.near_embeddings import NearEmbeddings

DIM = 24


def embeddings(count: int, seed: int) -> np.ndarray:
    """Random directions, half of them near an earlier one, in float32."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, DIM))
    for row in range(count // 2, count):
        vectors[row] = vectors[rng.integers(row)] + rng.uniform(0, 0.6) * rng.normal(size=DIM)
    rng.shuffle(vectors)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def shards(vectors: np.ndarray, missing: set[int], cuts: Sequence[int]) -> list[pa.Table]:
    rows = [None if row in missing else vector.tolist() for row, vector in enumerate(vectors)]
    ends = [0, *cuts, len(rows)]
    kind = pa.list_(pa.float32(), DIM)
    return [pa.table({"embedding": pa.array(rows[a:b], kind)}) for a, b in pairwise(ends)]


def places(corpus: NearCorpus) -> dict[int, tuple[int, float]]:
    """The drops by place in the whole corpus; rows of the one earlier shard count from -1000 upwards."""
    starts = np.cumsum([0, *map(len, corpus.shards)])

    def place(rank: int) -> int:
        return rank + (1 << 62) - 1000 if rank < 0 else int(starts[rank >> 32]) + (rank & 0xFFFFFFFF)

    return {place(rank): (place(other), round(value, 9)) for rank, (other, value) in corpus.drops.items()}


def cosines(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float16).astype(np.longdouble)
    wide /= np.sqrt((wide**2).sum(axis=1, keepdims=True))
    return (wide @ wide.T).astype(float)


def test_drops_of_one_cell_are_those_of_all_pairs() -> None:
    vectors, missing, before = embeddings(600, 0), {3, 250, 599}, 100
    rule = NearEmbeddings(kind="near_embeddings", min_similarity=0.95, cells=1)
    earlier = shards(vectors[:before], missing, [])
    later = {row - before for row in missing}
    corpus = NearCorpus(shards(vectors[before:], later, [7, 300]), earlier=earlier)
    rule.decide(corpus)
    similarity, expected = cosines(vectors), {}
    for row in range(before, 600):
        near = [q for q in range(row) if similarity[row, q] >= 0.95 and not {row, q} & missing]
        if near:
            shown = near[0] - before if near[0] >= before else near[0] - 1000
            expected[row - before] = (shown, round(similarity[row, near[0]], 9))
    assert places(corpus) == expected
    assert len(expected) > 50
    assert rule.no_verdict(corpus) == {"embeddings missing, zero or not finite": 2}


def test_of_many_cells_most_near_pairs_are_found_and_none_wrongly() -> None:
    vectors = embeddings(1500, 1)
    rule = NearEmbeddings(kind="near_embeddings", min_similarity=0.95, cells=12)
    corpus = NearCorpus(shards(vectors, set(), [700]))
    rule.decide(corpus)
    similarity = cosines(vectors)
    near = {row for row in range(1500) if (similarity[row, :row] >= 0.95).any()}
    got = places(corpus)
    assert all(similarity[row, other] >= 0.95 and other < row for row, (other, _) in got.items())
    assert len(got.keys() & near) / len(near) > 0.75


def test_order_partitions_and_splits_into_shards_do_not_matter() -> None:
    vectors = embeddings(900, 2)
    rule = NearEmbeddings(kind="near_embeddings", min_similarity=0.95, cells=8, sample=20)
    results = []
    for cuts, partitions, seed in (([], 1, None), ([7, 200, 201], 5, 1), (range(50, 900, 50), 3, 2)):
        corpus = NearCorpus(shards(vectors, set(), cuts), partitions=partitions, seed=seed)
        rule.decide(corpus)
        results.append((places(corpus), corpus.counts))
    assert results[0] == results[1] == results[2]
    assert len(results[0][0]) > 50


def test_a_corpus_without_embeddings_drops_nothing() -> None:
    rule = NearEmbeddings(kind="near_embeddings")
    corpus = NearCorpus(shards(embeddings(4, 3), {0, 1, 2, 3}, [2]))
    rule.decide(corpus)
    assert corpus.drops == {}


def test_words_and_curve_name_the_limit() -> None:
    rule = NearEmbeddings(kind="near_embeddings", min_similarity=0.9)
    assert rule.recall_by_distance() == [(0.0, 1.0), (0.1, 1.0)]
    assert "below 0.9" in rule.words()
    assert rule.limit() == "cosine below 0.9"
