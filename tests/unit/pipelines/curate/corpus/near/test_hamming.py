import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.near.hamming import SimilarHashes, hashes_of, items_of


def test_distances_equal_those_of_unpacked_bits() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (60, 4), dtype=np.uint64)
    hashes[30:] = hashes[:30] ^ np.uint64(0x0101010101010101)
    bits = np.unpackbits(hashes.view(np.uint8), axis=1).astype(int)
    later, earlier = (places.ravel() for places in np.meshgrid(np.arange(60), np.arange(60)))
    near, distance = SimilarHashes(hashes, 32)(later, earlier)
    exact = np.abs(bits[later] - bits[earlier]).sum(axis=1)
    assert np.array_equal(distance, exact)
    assert np.array_equal(near, exact <= 32)
    assert near.sum() == 120


def test_a_column_is_read_from_its_offset_in_chunks() -> None:
    rows = [bytes(range(i, i + 32)) for i in range(6)]
    array = pa.array(rows, pa.binary(32))
    column = pa.chunked_array([array[1:3], array[4:]])
    assert [row.tobytes() for row in hashes_of(column)] == [rows[1], rows[2], rows[4], rows[5]]
    assert [row.tobytes() for row in hashes_of(array[2:4])] == rows[2:4]


def test_items_are_equal_where_hashes_are() -> None:
    hashes = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 4, 3]], dtype=np.uint64)
    items = items_of(hashes)
    assert items[0] == items[1]
    assert len(np.unique(items)) == 3
