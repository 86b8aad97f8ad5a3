"""Maps over the cells of an image, drawn on it as heat."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image

from pretrain.evaluation.pictures.drawing import Color, resized

HEAT: tuple[Color, ...] = (
    (17, 12, 50),
    (88, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
"""From low to high. Lightness rises evenly, so that the order is visible in gray as well."""


def heat_colors(shares: Float[np.ndarray, "..."]) -> Float[np.ndarray, "... 3"]:
    """Red, green and blue (0..255) of shares from 0 to 1, interpolated linearly between the colours of `HEAT`."""
    stops = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(shares, stops, [color[band] for color in HEAT]) for band in range(3)], -1)


def upsample(
    values: Float[np.ndarray, "rows columns"], size: tuple[int, int]
) -> Float[np.ndarray, "height width"]:
    """Bilinear between the cells' centres, constant beyond the outermost ones; `size` is (width, height) in px."""
    plane = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(plane.resize(size, Image.Resampling.BILINEAR))


def draw_heat(
    image: Image.Image,
    values: Float[np.ndarray, "rows columns"],
    scale: tuple[float, float],
    side: int,
) -> Image.Image:
    """The image in gray, `side` px its longer side, under the heat of a map over its cells.

    `scale` is (value of the lowest colour, value of the highest): the same for maps that are to be compared.
    """
    picture = resized(image, side)
    low, high = scale
    shares = np.clip((upsample(values, picture.size) - low) / max(high - low, 1e-12), 0, 1)
    # The gray is darkened, so that the heat stands out and the picture stays visible under it.
    gray = 0.65 * np.asarray(picture.convert("L"), float)[..., None]
    cover = 0.25 + 0.55 * shares[..., None]
    mixed = (1 - cover) * gray + cover * heat_colors(shares)
    return Image.fromarray(mixed.round().astype(np.uint8))
