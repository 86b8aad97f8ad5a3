import numpy as np
import pytest

from pipelines.curate.corpus.near.jaccard import SimilarSets, WordSets


def corpus(count: int, largest: int, seed: int) -> tuple[list[set[int]], WordSets]:
    """Sets from a small vocabulary, so that many overlap; some words share the low bits that sketches are made of."""
    rng = np.random.default_rng(seed)
    vocabulary = rng.integers(0, 2**64, 60, dtype=np.uint64)
    vocabulary[:20] = vocabulary[:20] << np.uint64(6)
    sets = [
        set(rng.choice(vocabulary, rng.integers(1, largest), replace=False).tolist()) for _ in range(count)
    ]
    ends = np.cumsum([0, *map(len, sets)])
    return sets, WordSets(np.array([word for one in sets for word in one], dtype=np.uint64), ends)


@pytest.mark.parametrize(("limit", "largest"), [(0.2, 12), (0.8, 8), (0.5, 60), (1.0, 4), (0.8, 3)])
def test_similarities_equal_those_of_python_sets(limit: float, largest: int) -> None:
    sets, packed = corpus(150, largest, largest)
    later, earlier = (places.ravel() for places in np.meshgrid(np.arange(150), np.arange(150)))
    hit, value = SimilarSets(packed, limit)(later, earlier)
    exact = np.array(
        [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in zip(later, earlier, strict=True)]
    )
    assert np.array_equal(hit, exact >= limit)
    assert np.array_equal(value[hit], exact[hit])
    assert hit.sum() >= 150


def test_items_are_equal_where_sets_are() -> None:
    words = np.array([3, 1, 2, 2, 3, 1, 1, 2], dtype=np.uint64)
    items = WordSets(words, np.array([0, 3, 6, 8])).items()
    assert items[0] == items[1] != items[2]


def test_no_sets_have_no_items() -> None:
    empty = WordSets(np.zeros(0, np.uint64), np.array([0]))
    assert len(empty.items()) == len(empty.sizes()) == len(empty.sketches()) == 0
