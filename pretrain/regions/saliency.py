"""Saliency of an image's cells without any text, and its parts: candidates for objects.

Shapes: S images, C = rows × columns cells in row-major order, K parts, D width; "..." any leading dimensions.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.regions.attribution_boxes import connected_cells


def saliency(patches: Float[Tensor, "... C D"]) -> Float[Tensor, "... C"]:
    """Cosine distance of each unit-length patch token from the image's mean token, less the mean distance."""
    mean_token = F.normalize(patches.mean(-2), dim=-1)
    distance = 1 - (patches @ mean_token[..., None])[..., 0]
    return distance - distance.mean(-1, keepdim=True)


def salient_parts(
    values: Float[Tensor, "S C"], grid: tuple[int, int], count: int = 8, level: float = 0.5
) -> tuple[Bool[Tensor, "S K C"], Bool[Tensor, "S K"]]:
    """Up to `count` parts, the most salient first, and which of them are real.

    A part is a peak of at least `level` of the image's greatest value, and the cells connected to it of at least
    `level` of its own value. No cell belongs to two parts. Where an image has fewer parts, the rest are not real.
    """
    rest, top = values, values.amax(-1)
    parts, real = [], []
    for _ in range(count):
        cells, peak = connected_cells(rest, grid, level), rest.amax(-1)
        parts.append(cells)
        real.append((peak > 0) & (peak >= level * top))
        rest = rest.masked_fill(cells, 0)
    return torch.stack(parts, 1), torch.stack(real, 1)


def parts_of_phrases(
    attributions: Float[Tensor, "S N C"], parts: Bool[Tensor, "S K C"], real: Bool[Tensor, "S K"]
) -> tuple[Bool[Tensor, "S N C"], Float[Tensor, "S N"]]:
    """The part with the greatest sum of each phrase's attributions, and that sum; cells alone are noisier."""
    sums = attributions @ parts.to(attributions.dtype).transpose(1, 2)
    most, place = sums.masked_fill(~real[:, None], -torch.inf).max(-1)
    return parts.gather(1, place[..., None].expand(-1, -1, parts.shape[-1])), most
