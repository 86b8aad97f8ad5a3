"""Digests of image bytes against hashlib."""

import hashlib
import pickle

import pytest

from data_filters import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.digests import DIGEST_BYTES, DigestScores


@pytest.mark.parametrize("algorithm", DIGEST_BYTES)
def test_digests_are_those_of_the_bytes(algorithm):
    group = pickle.loads(pickle.dumps(DigestScores(algorithm)))
    data = [b"", b"one", bytes(range(256))]
    found = group.measure([Facts(ImageHeader(3, 4, "png"), "", image) for image in data])
    assert found.schema == group.schema()
    assert found.column(0).to_pylist() == [getattr(hashlib, algorithm)(image).digest() for image in data]
    assert group.name == f"digest-{algorithm}"
    assert group.measure([]).num_rows == 0
