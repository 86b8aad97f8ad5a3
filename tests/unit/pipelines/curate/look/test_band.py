"""What a band settles, value by value, and which pairs its sample takes."""

import numpy as np
import pytest

from pipelines.curate.look.band import Band

SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, np.nan])


@pytest.mark.parametrize(
    ("below", "above", "dropped", "kept"),
    [(0.2, 0.4, [0], [4]), (0.2, None, [0], []), (None, 0.4, [], [4]), (0.3, 0.3, [0, 1], [3, 4])],
)
def test_what_lies_outside_is_settled_and_its_edges_and_nan_are_not(below, above, dropped, kept):
    band = Band("clip_similarity", below, above, 0.0)
    assert np.flatnonzero(band.is_below(SCORES)).tolist() == dropped
    assert np.flatnonzero(band.is_above(SCORES)).tolist() == kept
    assert np.flatnonzero(band.settles(SCORES)).tolist() == dropped + kept


def test_a_sample_is_a_share_of_the_hashes_and_the_same_in_any_order():
    hashes = [np.random.default_rng(seed).bytes(16) for seed in range(4000)]
    none, half, every = (Band("itc", 0.1, None, share).sampled(hashes) for share in (0.0, 0.5, 1.0))
    assert not none.any()
    assert every.all()
    assert 0.46 < half.mean() < 0.54
    assert Band("itc", 0.1, None, 0.5).sampled(hashes[::-1]).tolist() == half[::-1].tolist()
    assert len(Band("itc", 0.1, None, 0.5).sampled([])) == 0
