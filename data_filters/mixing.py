"""Mixes 64-bit hashes in numpy: the same on every machine, unlike Python's `hash`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]


def mix(values: Hashes) -> Hashes:
    """Mix the bits of each value, one to one, so that each bit of the result depends on all of them.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, variant 13 of Stafford's mixers).
    """
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def mix_two(first: Hashes, second: Hashes) -> Hashes:
    """A hash of two hashes in their order."""
    return mix(first + mix(second + np.uint64(0x9E3779B97F4A7C15)))


def fractions(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Map hashes evenly to [0, 1), by their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
