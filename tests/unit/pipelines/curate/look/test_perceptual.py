"""Hashes of look groups are those of the index, and do not depend on the batch."""

import numpy as np
from pictures import look_pictures

from data_filters.perceptual_hash import hash_thumbnails, read_thumbnail
from pipelines.curate.look.perceptual import PdqScores


def test_hashes_are_those_of_the_shared_function():
    group, pictures = PdqScores(), look_pictures(5)
    found = group.measure(pictures)
    assert found.schema == group.schema()
    hashes, qualities = hash_thumbnails(np.stack([read_thumbnail(one.facts.data) for one in pictures]))
    assert found.column("pdq").to_pylist() == [row.tobytes() for row in hashes]
    assert found.column("pdq_quality").to_pylist() == qualities.tolist()
    assert len(set(found.column("pdq").to_pylist())) == 5
    for row, picture in enumerate(pictures):
        assert group.measure([picture]).to_pydict() == found.slice(row, 1).to_pydict()
