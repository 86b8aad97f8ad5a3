from itertools import combinations

import numpy as np
import pytest

from pipelines.curate.corpus.near import bit_bands
from pipelines.curate.corpus.near.bit_bands import BitBands, bands_for


def flipped(hashes: np.ndarray, distance: int, rng: np.random.Generator) -> np.ndarray:
    """The hashes with `distance` bits turned over, by unpacked bits."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    places = np.argsort(rng.random(bits.shape), axis=1)[:, :distance]
    np.put_along_axis(bits, places, 1 - np.take_along_axis(bits, places, axis=1), axis=1)
    return np.packbits(bits, axis=1).view(np.uint64)


@pytest.mark.parametrize(("bits", "distance"), [(20, 31), (20, 24), (16, 31), (24, 20)])
def test_pairs_meet_as_often_as_the_curve_says(bits: int, distance: int) -> None:
    rng = np.random.default_rng(distance)
    bands = BitBands(bands_for(0.8, 31, bits), bits, 0)
    one = rng.integers(0, 2**64, (4000, 4), dtype=np.uint64)
    met = (bands.keys(one) == bands.keys(flipped(one, distance, rng))).any(axis=1).mean()
    assert met == pytest.approx(bands.recall(distance), abs=0.02)


def test_a_distance_below_the_number_of_disjoint_bands_always_meets() -> None:
    rng = np.random.default_rng(0)
    bands = BitBands(12, 20, 4)
    one = rng.integers(0, 2**64, (2000, 4), dtype=np.uint64)
    assert (bands.keys(one) == bands.keys(flipped(one, 11, rng))).any(axis=1).all()
    assert bands.recall(11) == 1
    assert bands.recall(12) < 1


def test_recall_equals_an_enumeration_of_all_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_bands, "BITS", 9)
    bands = [range(2), range(2, 4), range(4, 6)]
    for distance in range(10):
        ways = [set(way) for way in combinations(range(9), distance)]
        met = sum(any(not way & set(band) for band in bands) for way in ways) / len(ways)
        assert BitBands(3, 2, 0).recall(distance) == pytest.approx(met, abs=1e-12)


def test_bands_of_one_order_share_no_bit() -> None:
    places = BitBands(30, 20, 1).places()
    assert places.shape == (30, 20)
    assert len(np.unique(places[:12])) == 240
    assert len(np.unique(places[12:24])) == 240


def test_keys_hold_exactly_the_bits_of_their_band() -> None:
    rng = np.random.default_rng(5)
    bands = BitBands(3, 6, 2)
    hashes = rng.integers(0, 2**64, (400, 4), dtype=np.uint64)
    keys = bands.keys(hashes)
    for band, places in enumerate(bands.places()):
        bits = [tuple(int(row[p // 64]) >> int(p % 64) & 1 for p in places) for row in hashes]
        for a in range(0, 400, 7):
            for b in range(400):
                assert (keys[a, band] == keys[b, band]) == (bits[a] == bits[b])
    assert len(set(keys[:, 0]) & set(keys[:, 1])) == 0


def test_the_fewest_bands_are_chosen() -> None:
    count = bands_for(0.95, 31, 20)
    assert BitBands(count, 20, 0).recall(31) >= 0.95 > BitBands(count - 1, 20, 0).recall(31)
