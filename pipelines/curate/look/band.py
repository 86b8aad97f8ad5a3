"""A band of a cheaper score: pairs outside it are settled, so that a dearer score is computed for the others alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Band:
    """Pairs whose `score` lies below `below` or above `above` are settled; null: nothing is settled on that side.

    A share `sample` (0 to 1) of the pairs, told by the image's hash, gets the dearer score anyway: on these it is
    measured what the band changes.
    """

    score: str
    below: float | None
    above: float | None
    sample: float

    def is_below(self, scores: npt.NDArray[np.float64]) -> Mask:
        """Whether each score lies below the band; NaN does not."""
        return scores < (-np.inf if self.below is None else self.below)

    def is_above(self, scores: npt.NDArray[np.float64]) -> Mask:
        """Whether each score lies above the band; NaN does not."""
        return scores > (np.inf if self.above is None else self.above)

    def settles(self, scores: npt.NDArray[np.float64]) -> Mask:
        """Whether each score lies outside the band."""
        return self.is_below(scores) | self.is_above(scores)

    def sampled(self, image_hashes: Sequence[bytes]) -> Mask:
        """Whether each pair is in the sample, by the xxh3_128 digest of its image's bytes."""
        digests = np.frombuffer(b"".join(image_hashes), "<u8").reshape(-1, 2)
        places = digests[:, 0].astype(np.float64) / 2.0**64
        return places < self.sample
