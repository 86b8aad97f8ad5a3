"""Draws and paints the crop of a photograph that lies behind a scene."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.icon_world.photographs import Photograph, Photographs, read_photograph

_LEAST_SHARE = 0.5  # of the photograph's shorter side


@dataclass(frozen=True)
class Backdrop:
    """A square of a photograph. `share`: its side over the photograph's shorter side, 0.5 to 1.

    `across` and `down`, 0 to below 1, are its place between the left and the right end, the top and the bottom end.
    """

    kind: ClassVar[str] = "photograph"
    photograph: Photograph
    share: float
    across: float
    down: float


def draw_backdrop(rng: np.random.Generator, photographs: Photographs, split: str) -> Backdrop:
    """Draw a photograph of the split and a square of it; no photograph is read."""
    number = int(rng.integers(photographs.counts[split]))
    share, across, down = rng.random(3).tolist()
    return Backdrop(
        photographs.photograph(split, number), _LEAST_SHARE + (1 - _LEAST_SHARE) * share, across, down
    )


def paint_backdrop(backdrop: Backdrop, side: int) -> NDArray[np.uint8]:
    """Paint the square alone: pixels [side, side, 3], 0..255. Raises InputError as `read_photograph` does."""
    picture = _picture(backdrop.photograph, side)
    width, height = picture.size
    crop = max(1, round(backdrop.share * min(width, height)))
    left, top = int(backdrop.across * (width - crop + 1)), int(backdrop.down * (height - crop + 1))
    square = picture.crop((left, top, left + crop, top + crop))
    return np.array(square.resize((side, side), Image.Resampling.LANCZOS))


# Few, since a picture has 12 * side² bytes or more: some 15 MB in all for scenes of 224 pixels.
_picture = lru_cache(maxsize=16)(read_photograph)
