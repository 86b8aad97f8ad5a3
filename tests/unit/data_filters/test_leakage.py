"""The search within 31 bits against faiss's exhaustive one, and against hand-made neighbours."""

import faiss
import numpy as np
import pytest

from data_filters.leakage import FAR, NOBODY, REACH, NearHashes


def flipped(hashes: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    bits = np.unpackbits(hashes, axis=1)
    for row in bits:
        row[generator.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits, axis=1)


def test_all_within_reach_are_found_and_nothing_else():
    generator = np.random.default_rng(0)
    many = generator.integers(0, 256, (5000, 32), dtype=np.uint8)
    many[1000:1500] = flipped(many[:500], 9, generator)  # neighbours of each other
    asked = np.concatenate(
        [flipped(many[500 + 20 * n : 520 + 20 * n], n, generator) for n in range(40)]
        + [generator.integers(0, 256, (100, 32), dtype=np.uint8)]
    )
    distance, owner = NearHashes(many, np.arange(5000, dtype=np.int32)).nearest(asked)
    flat = faiss.IndexBinaryFlat(256)
    flat.add(many)
    theirs, rows = flat.search(asked, 1)
    near = theirs[:, 0] <= REACH
    assert 600 < near.sum() < 700
    assert (distance == np.where(near, theirs[:, 0], FAR)).all()
    assert (owner == np.where(near, rows[:, 0], NOBODY)).all()
    assert distance.dtype == np.int16
    assert owner.dtype == np.int32


@pytest.mark.parametrize("spread", ["one word", "two in each word but one"])
def test_any_spread_of_31_differences_is_found(spread):
    one = np.zeros((1, 32), np.uint8)
    bits = np.zeros((16, 16), np.uint8)
    if spread == "one word":
        bits.reshape(-1)[:31] = 1
    else:
        bits[:, :2] = 1
        bits[7, 1] = 0
    other = np.packbits(bits.reshape(1, 256), axis=1)
    assert NearHashes(one, np.array([5], np.int32)).nearest(other)[0].tolist() == [31]
    other[0, -1] ^= 1
    assert NearHashes(one, np.array([5], np.int32)).nearest(other)[1].tolist() == [NOBODY]


def test_of_equal_hashes_the_smallest_owner_counts_whatever_the_order():
    hashes = np.repeat(np.arange(3, dtype=np.uint8)[:, None], 32, axis=1)[[0, 1, 2, 1, 0]]
    owners = np.array([9, 4, 3, 2, 7], np.int32)
    for order in (np.arange(5), np.arange(5)[::-1]):
        near = NearHashes(hashes[order], owners[order])
        assert len(near) == 3
        assert near.nearest(hashes[:3])[1].tolist() == [7, 2, 3]


def test_nothing_is_near_in_an_empty_index_and_nothing_is_asked():
    asked = np.zeros((3, 32), np.uint8)
    empty = NearHashes(asked[:0], np.zeros(0, np.int32))
    assert empty.nearest(asked)[0].tolist() == [FAR] * 3
    assert NearHashes(asked[:1], np.zeros(1, np.int32)).nearest(asked[:0])[0].tolist() == []
