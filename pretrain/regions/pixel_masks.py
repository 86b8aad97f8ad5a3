"""Parts of an image at the resolution of its pixels, and what stands in the place of the rest.

Shapes: M parts, C = rows × columns cells in row-major order, H × W pixels. Boxes are (centre x, centre y, width,
height) as fractions of the image.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

BLUR_SHARE = 0.25
"""Window of the blur, as a share of the image's side; it is applied three times, which comes near a Gaussian."""


def box_pixels(boxes: Float[Tensor, "M 4"], size: tuple[int, int]) -> Float[Tensor, "M H W"]:
    """The share of each pixel that a box covers, 0 to 1; differentiable in all four coordinates."""
    height, width = size
    (x, y, across, down) = boxes.unbind(-1)
    rows = _covered(y - down / 2, y + down / 2, height)
    columns = _covered(x - across / 2, x + across / 2, width)
    return rows[:, :, None] * columns[:, None, :]


def _covered(low: Float[Tensor, " M"], high: Float[Tensor, " M"], count: int) -> Float[Tensor, "M count"]:
    """The share of each of `count` pixels along an axis that lies between `low` and `high`, fractions of the axis."""
    start = torch.arange(count, device=low.device, dtype=low.dtype)
    last = torch.minimum((high * count)[:, None], start + 1)
    first = torch.maximum((low * count)[:, None], start)
    return (last - first).clamp(0, 1)


def cells_as_pixels(
    cells: Float[Tensor, "M C"], grid: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "M H W"]:
    """Masks over cells with the value of each cell at all of its pixels."""
    masks = cells.unflatten(1, grid)[:, None]
    return F.interpolate(masks, size=size, mode="nearest")[:, 0]


def pixels_as_cells(masks: Float[Tensor, "M H W"], grid: tuple[int, int]) -> Float[Tensor, "M C"]:
    """The mean of each cell's pixels."""
    return F.adaptive_avg_pool2d(masks[:, None], grid).flatten(1)


def median_filling(pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 1 1"]:
    """The median of each channel of each image: in scenes of objects on a background, the background's color."""
    return pixels.flatten(2).median(-1).values[..., None, None]


def blurred_filling(pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Each image out of focus, so that no shape is left."""
    reach = max(1, round(min(pixels.shape[-2:]) * BLUR_SHARE / 2))
    for _ in range(3):
        padded = F.pad(pixels, [reach] * 4, mode="reflect")
        pixels = F.avg_pool2d(padded, 2 * reach + 1, stride=1)
    return pixels


FILLINGS = {"median": median_filling, "blur": blurred_filling}
"""What stands in the place of pixels that are left out, by name."""


def with_parts(
    pixels: Float[Tensor, "#M 3 H W"], masks: Float[Tensor, "M H W"], filling: Float[Tensor, "#M 3 #H #W"]
) -> Float[Tensor, "M 3 H W"]:
    """Copies of one image, or of one for each mask, with the pixels under each mask and the filling elsewhere.

    Values between 0 and 1 mix the two.
    """
    return filling + masks[:, None].to(pixels.dtype) * (pixels - filling)
