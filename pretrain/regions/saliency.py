"""What stands out of an image whatever is said of it, and its parts: objects before anybody has named them.

Shapes: S images, C = rows × columns cells in row-major order, K parts, D width; "..." any leading dimensions.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.regions.attribution_boxes import connected_cells


def saliency(patches: Float[Tensor, "... C D"]) -> Float[Tensor, "... C"]:
    """How far each unit-length patch token is from the image's mean, less the average of that."""
    middle = F.normalize(patches.mean(-2), dim=-1)
    away = 1 - (patches @ middle[..., None])[..., 0]
    return away - away.mean(-1, keepdim=True)


def salient_parts(
    values: Float[Tensor, "S C"], grid: tuple[int, int], count: int = 8, level: float = 0.5
) -> tuple[Bool[Tensor, "S K C"], Bool[Tensor, "S K"]]:
    """Up to `count` groups of cells, the most salient first, and which of them are there.

    A group is a peak of at least `level` of the image's greatest, and what hangs together with it above `level` of its
    own; no cell belongs to two.
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
    """The part that holds most of each phrase's attributions, and how much: a sum is steadier than its noisy cells."""
    held = attributions @ parts.to(attributions.dtype).transpose(1, 2)
    most, place = held.masked_fill(~real[:, None], -torch.inf).max(-1)
    return parts.gather(1, place[..., None].expand(-1, -1, parts.shape[-1])), most
