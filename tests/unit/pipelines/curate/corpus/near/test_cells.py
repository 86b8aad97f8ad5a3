import numpy as np

from pipelines.curate.corpus.near.cells import Sample, cells_of, trained


def groups(count: int, each: int, dim: int, seed: int) -> np.ndarray:
    """Embeddings around `count` random directions, group by group."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, dim))
    vectors = np.repeat(centres, each, axis=0) + 0.2 * rng.normal(size=(count * each, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def test_cells_are_those_of_the_largest_product() -> None:
    vectors = groups(30, 100, 32, 0)
    centroids = trained(vectors, 50, 3)
    products = vectors.astype(np.longdouble) @ centroids.T.astype(np.longdouble)
    assert np.array_equal(cells_of(vectors, centroids), products.argmax(axis=1))


def test_of_equal_centroids_the_first_is_taken() -> None:
    vectors = groups(5, 20, 16, 1)
    centroids = trained(vectors, 10, 2)
    assert cells_of(vectors, np.concatenate([centroids, centroids])).max() < 10


def test_training_brings_centroids_closer_and_repeats_whatever_the_order_of_rows() -> None:
    vectors = groups(20, 50, 64, 2)[np.random.default_rng(3).permutation(1000)]

    def inertia(centroids: np.ndarray) -> float:
        return (vectors.astype(np.float64) @ centroids.T).max(axis=1).mean()

    start, end = trained(vectors, 20, 0), trained(vectors, 20, 10)
    assert inertia(end) > inertia(start) + 0.02
    turned = np.concatenate([vectors[:20], vectors[20:][::-1]])  # the first rows are where it begins
    assert np.array_equal(end, trained(turned, 20, 10))
    assert np.allclose(np.linalg.norm(end, axis=1), 1, atol=1e-3)


def test_a_sample_is_the_same_however_rows_are_split_and_repeated() -> None:
    vectors = groups(10, 30, 16, 4)
    whole = Sample.of(vectors, 64, 7)
    parts = [Sample.of(part, 64, 7) for part in np.split(vectors, [1, 50, 51, 200])]
    empty = Sample.of(vectors[:0], 64, 7)
    summed = empty
    for part in [*reversed(parts), parts[0], empty]:
        summed = part.add(summed)
    assert len(whole.hashes) == 64
    assert np.array_equal(whole.embeddings, summed.embeddings)
    assert not np.array_equal(whole.embeddings, Sample.of(vectors, 64, 8).embeddings)


def test_fewer_rows_than_cells_give_as_many_cells() -> None:
    assert len(trained(groups(1, 3, 8, 5), 10, 4)) == 3
    assert len(trained(np.zeros((0, 8), np.float16), 10, 4)) == 0
