"""The perceptual hash of a picture: PDQ of its 64 x 64 thumbnail. Index and look both hash here, or copies differ.

Before PDQ the picture is brought to 64 x 64 px by a windowed sinc (Lanczos) as wide as the reduction asks for. PDQ's
own filter is a few pixels wide, and its result depends on how many there are: a copy of half the size, or one that was
decoded at another scale, lies 8 to 25 bits away on average, by thumbnails 2 to 5 bits (tests/bench/leaks.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_filters import pdq
from data_filters.decode import decode

if TYPE_CHECKING:
    from PIL import Image

METHOD = "pdq-of-lanczos-64"
"""What hashes that may be compared have in common; another definition is another name."""
SMALLEST_DECODE = 256
"""Pixels: a JPEG whose sides stay at or above this may be decoded at reduced scale. That moves 1 to 3 bits of 256."""
LOWEST_QUALITY = 50
"""Of 100; below it the reference advises against a verdict."""

SIDE = 64
"""Pixels of a thumbnail."""
_REDUCING_GAP = 1.5  # the picture is averaged to at least 1.5 x 64 px first: a third of the time, 0.3 bits


def thumbnail(image: Image.Image) -> pdq.Floats:
    """Luma, 0 to 255, of an RGB picture at 64 x 64 px."""
    from PIL.Image import Resampling

    grey = image.convert("L").resize((SIDE, SIDE), Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return np.asarray(grey, np.float32)


def read_thumbnail(data: bytes) -> pdq.Floats:
    """Decode a picture, at reduced scale where that is quicker, to its thumbnail. Raises BrokenSample as `decode`."""
    return thumbnail(decode(data, at_least=SMALLEST_DECODE))


def hash_thumbnails(thumbnails: pdq.Floats) -> tuple[pdq.Hashes, npt.NDArray[np.int16]]:
    """The hashes [n, 32] of thumbnails [n, 64, 64] and their qualities [n], 0 to 100."""
    return pdq.bits(pdq.coefficients(thumbnails)), pdq.quality(thumbnails)


def hash_orientations(thumbnails: pdq.Floats) -> tuple[pdq.Hashes, npt.NDArray[np.int16]]:
    """The hashes [n, 8, 32] of thumbnails [n, 64, 64] in the order of pdq.ORIENTATIONS, and their qualities [n]."""
    return pdq.bits(pdq.orientations(pdq.coefficients(thumbnails))), pdq.quality(thumbnails)
