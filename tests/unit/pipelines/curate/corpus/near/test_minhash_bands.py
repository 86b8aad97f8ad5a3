import numpy as np
import pytest
import rensa

from pipelines.curate.corpus.near.minhash_bands import MinHashBands


def pairs(similarity: tuple[int, int], count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of sets of (common, all) words; those of one set only are dealt out in turn."""
    common, union = similarity
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        words = rng.integers(0, 2**64, union, dtype=np.uint64)
        rest = words[common:]
        made.append((np.r_[words[:common], rest[::2]], np.r_[words[:common], rest[1::2]]))
    return made


def keys_of(bands: MinHashBands, sets: list[np.ndarray]) -> np.ndarray:
    ends = np.cumsum([0, *map(len, sets)])
    return bands.keys(np.concatenate(sets), ends)


@pytest.mark.parametrize("similarity", [(12, 20), (14, 20), (8, 10), (18, 20)])
def test_pairs_meet_as_often_as_the_curve_says(similarity: tuple[int, int]) -> None:
    bands = MinHashBands(10, 6, 0)
    made = pairs(similarity, 4000, 1)
    one, other = (keys_of(bands, [pair[side] for pair in made]) for side in (0, 1))
    met = (one == other).any(axis=1).mean()
    assert met == pytest.approx(bands.recall(similarity[0] / similarity[1]), abs=0.02)


def test_pairs_meet_as_often_as_with_rensa() -> None:
    bands, count = MinHashBands(8, 5, 0), 3000
    made = pairs((14, 20), count, 2)
    one, other = (keys_of(bands, [pair[side] for pair in made]) for side in (0, 1))
    ours = (one == other).any(axis=1).mean()
    digests = []
    for side in (0, 1):
        sets = [pair[side] for pair in made]
        ends = np.cumsum([0, *map(len, sets)]).astype(np.uint64)
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(sets), ends, 40, 42)
        digests.append(np.array(matrix.to_rows()).reshape(count, 8, 5))
    theirs = (digests[0] == digests[1]).all(axis=2).any(axis=1).mean()
    assert ours == pytest.approx(theirs, abs=0.04)


def test_order_of_words_and_neighbours_do_not_change_keys() -> None:
    rng = np.random.default_rng(3)
    sets = [rng.integers(0, 2**64, rng.integers(1, 30), dtype=np.uint64) for _ in range(9000)]
    bands = MinHashBands(4, 3, 5)
    keys = keys_of(bands, sets)
    turned = keys_of(bands, [words[::-1] for words in reversed(sets)])[::-1]
    assert np.array_equal(keys, turned)
    assert keys.shape == (9000, 4)


def test_bands_of_one_set_differ() -> None:
    keys = keys_of(MinHashBands(200, 1, 0), [np.array([7], dtype=np.uint64)])
    assert len(np.unique(keys)) == 200
