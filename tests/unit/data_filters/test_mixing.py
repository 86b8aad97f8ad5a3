"""Mixed hashes against the published generator and against integers of Python."""

from __future__ import annotations

import random

import numpy as np

from data_filters.mixing import fractions, mix, mix_two

ALL = 2**64 - 1


def mix_of_one(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & ALL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & ALL
    return value ^ (value >> 31)


def test_mix_is_the_finaliser_of_splitmix64() -> None:
    # The first outputs of SplitMix64 from the seed 1234567, as its reference implementation prints them.
    states = np.array([(1234567 + n * 0x9E3779B97F4A7C15) & ALL for n in (1, 2, 3)], dtype=np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_two_are_mixed_in_their_order_and_the_arguments_stay() -> None:
    draw = random.Random(0)
    first, second = ([draw.getrandbits(64) for _ in range(100)] for _ in range(2))
    arrays = np.array(first, dtype=np.uint64), np.array(second, dtype=np.uint64)
    expected = [
        mix_of_one((a + mix_of_one((b + 0x9E3779B97F4A7C15) & ALL)) & ALL)
        for a, b in zip(first, second, strict=True)
    ]
    assert mix_two(*arrays).tolist() == expected
    assert mix_two(*arrays[::-1]).tolist() != expected
    assert arrays[0].tolist() == first


def test_fractions_lie_evenly_in_the_half_open_unit_interval() -> None:
    ends = fractions(np.array([0, ALL, 1 << 63], dtype=np.uint64)).tolist()
    assert ends == [0.0, 1 - 2.0**-53, 0.5]
    drawn = fractions(mix(np.arange(200_000, dtype=np.uint64)))
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
    assert abs(counts - 10_000).max() < 5 * 10_000**0.5
