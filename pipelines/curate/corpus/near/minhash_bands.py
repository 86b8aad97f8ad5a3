"""Bands of MinHash values: two word sets share a band with a probability that grows with their similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.curate.corpus.near.mixing import Bits, constants, mix

_ROWS_AT_ONCE = 4096  # sets whose words stay in a core's cache


@dataclass(frozen=True)
class MinHashBands:
    """`bands` bands of `rows` MinHash values each (Broder 1997; banded as in Leskovec et al., section 3.4)."""

    bands: int
    rows: int
    seed: int

    def keys(self, words: Bits, ends: npt.NDArray[np.int64]) -> Bits:
        """The key of every band of every set: `uint64[sets, bands]`; no two bands share a key but by chance.

        Set i is `words[ends[i]:ends[i + 1]]`, distinct 64-bit hashes, one at least.
        """
        sets = len(ends) - 1
        keys = np.empty((sets, self.bands), dtype=np.uint64)
        for first in range(0, sets, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, sets)
            part = words[ends[first] : ends[last]]
            keys[first:last] = self._keys(part, ends[first:last] - ends[first])
        return keys

    def _keys(self, words: Bits, starts: npt.NDArray[np.int64]) -> Bits:
        factors = constants(self.seed, self.bands * self.rows) | np.uint64(1)
        keys = np.empty((len(starts), self.bands), dtype=np.uint64)
        for band in range(self.bands):
            key = np.full(len(starts), band, dtype=np.uint64)
            for factor in factors[band * self.rows : (band + 1) * self.rows]:
                # Words are hashes already: a product and a shift permute them well enough (see the tests).
                values = words * factor
                values ^= values >> np.uint64(32)
                key = mix(key ^ np.minimum.reduceat(values, starts))
            keys[:, band] = key
        return keys

    def recall(self, similarity: float) -> float:
        """The probability that two sets of this Jaccard similarity share a band: 1 - (1 - s^rows)^bands."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)
