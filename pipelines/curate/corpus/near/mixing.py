"""Keys of bands and seeded constants: 64-bit mixes in numpy, equal on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_filters.mixing import mix as finalised

Bits = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(values: Bits) -> Bits:
    """Scatter the bits of each value, one to one: a step of SplitMix64 from that state, whose result for 0 is not 0."""
    return finalised(values + _STEP)


def constants(seed: int, count: int) -> Bits:
    """`count` well mixed 64-bit numbers that a seed from 0 to 2^31 decides."""
    start = mix(np.array([seed], dtype=np.uint64))
    numbers: Bits = start + np.arange(count).astype(np.uint64)
    return mix(numbers)
