import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from pipelines.curate.corpus.near.embeddings import content_hashes, cosines, embeddings_of, unit


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_column_is_read_with_its_missing_rows(kind: type) -> None:
    rows = [[1, 2, 3], None, [0, 0, 0], [math.nan, 1, 1], [1e30, 0, 0], [-1, 0.5, 0]]
    if kind is np.float16:
        rows[4] = [math.inf, 0, 0]
    wanted = pa.array(rows, pa.list_(pa.float32(), 3)).cast(pa.list_(pa.from_numpy_dtype(kind), 3))
    column = pa.chunked_array([wanted[:1], wanted[2:], wanted[1:2]])
    values, valid = embeddings_of(column)
    assert valid.tolist() == [True, False, False, False, True, False]
    assert values.dtype == np.float16
    assert values[valid].tolist() == [[1, 2, 3], [-1, 0.5, 0]]


def test_cosines_equal_those_of_exact_fractions() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 96))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    got = cosines(vectors[:20], vectors[20:])
    for row in range(20):
        a, b = ([Fraction(float(x)) for x in vectors[row + side]] for side in (0, 20))
        dot, aa, bb = (sum(x * y for x, y in zip(p, q, strict=True)) for p, q in ((a, b), (a, a), (b, b)))
        assert float(dot) / math.sqrt(float(aa) * float(bb)) == got[row]


def test_sums_do_not_depend_on_the_order_of_values() -> None:
    rng = np.random.default_rng(1)
    vectors = (rng.normal(size=(200, 512)) / 512**0.5).astype(np.float16)
    turn = rng.permutation(512)
    assert np.array_equal(
        cosines(vectors[:100], vectors[100:]), cosines(vectors[:100, turn], vectors[100:, turn])
    )


def test_unit_rows_have_norm_one() -> None:
    norms = np.linalg.norm(unit(np.array([[3, 4], [0, 0], [-0.5, 0]], np.float16)), axis=1)
    assert norms.tolist() == [1, 0, 1]


def test_hashes_are_equal_where_contents_are() -> None:
    vectors = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 2, 3, 4, 6]], np.float16)
    hashes = content_hashes(vectors)
    assert hashes[0] == hashes[1]
    assert len(np.unique(hashes)) == 3
