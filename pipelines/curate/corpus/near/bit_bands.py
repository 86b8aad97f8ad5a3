"""Bands of bits of a 256-bit hash: two hashes share a band with a probability that falls with their distance."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from pipelines.curate.corpus.near.mixing import Bits, constants, mix

BITS = 256
MOST_BITS = 48  # of a band: its number stands above them in 64 bits
_ROWS_AT_ONCE = 16384


@dataclass(frozen=True)
class BitBands:
    """`bands` bands of `bits` bits each, cut from random orders of the 256 bits (Indyk and Motwani 1998).

    Bands of one order have no bit in common: of a pair at a distance below their number one band is equal for sure.
    """

    bands: int
    bits: int
    seed: int

    def keys(self, hashes: Bits) -> Bits:
        """The key of every band of every hash (`uint64[hashes, 4]`): `uint64[hashes, bands]`."""
        keys = np.empty((len(hashes), self.bands), dtype=np.uint64)
        places = self.places()
        weights = np.uint64(1) << np.arange(self.bits, dtype=np.uint64)
        for first in range(0, len(hashes), _ROWS_AT_ONCE):
            part = np.ascontiguousarray(hashes[first : first + _ROWS_AT_ONCE], dtype="<u8")
            bits = np.unpackbits(part.view(np.uint8), axis=1, bitorder="little").T.astype(np.uint64)
            for band in range(self.bands):
                key = np.full(len(part), band, dtype=np.uint64) << np.uint64(MOST_BITS)
                for place, weight in zip(places[band], weights, strict=True):
                    key += bits[place] * weight
                keys[first : first + len(part), band] = mix(key)
        return keys

    def places(self) -> npt.NDArray[np.int64]:
        """The bits of every band: `int64[bands, bits]`."""
        an_order = BITS // self.bits  # bands of one order
        orders = -(-self.bands // an_order)
        bits = np.argsort(constants(self.seed, orders * BITS).reshape(orders, BITS), axis=1, kind="stable")
        return bits[:, : an_order * self.bits].reshape(-1, self.bits)[: self.bands]

    def recall(self, distance: int) -> float:
        """The probability, over random orders, that two hashes at this distance share a band; exact.

        Of m disjoint bands, none is free of the d differing bits with probability
        sum over j of (-1)^j C(m, j) C(256 - j bits, d) / C(256, d); orders are independent.
        """
        an_order = BITS // self.bits
        full, rest = divmod(self.bands, an_order)
        return 1 - _no_band(an_order, self.bits, distance) ** full * _no_band(rest, self.bits, distance)


def _no_band(bands: int, bits: int, distance: int) -> float:
    """The probability that each of some disjoint bands has a differing bit."""
    ways = sum((-1) ** j * comb(bands, j) * comb(BITS - j * bits, distance) for j in range(bands + 1))
    return ways / comb(BITS, distance)


def bands_for(recall: float, distance: int, bits: int, most: int = 512) -> int:
    """The fewest bands of `bits` bits whose recall at a distance is this much; `most` where no number does."""
    return next((n for n in range(1, most) if BitBands(n, bits, 0).recall(distance) >= recall), most)
