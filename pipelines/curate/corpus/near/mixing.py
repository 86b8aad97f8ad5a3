"""A mix of 64 bits in numpy, equal on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(values: Bits) -> Bits:
    """Scatter the bits of each value, one to one (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    mixed: Bits = values + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def constants(seed: int, count: int) -> Bits:
    """`count` well mixed 64-bit numbers that a seed from 0 to 2^31 decides."""
    start = mix(np.array([seed], dtype=np.uint64))
    numbers: Bits = start + np.arange(count).astype(np.uint64)
    return mix(numbers)
