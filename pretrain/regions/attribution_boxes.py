"""Boxes from maps of attributions: the connected cells around the maximum, and a box around them.

Shapes: C = rows × columns cells in row-major order; "..." any leading dimensions (images, phrases).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def connected_cells(
    values: Float[Tensor, "... C"], grid: tuple[int, int], level: float = 0.25
) -> Bool[Tensor, "... C"]:
    """The greatest cell and all cells connected to it (by sides or corners) of at least `level` of its value.

    In a map without a positive value it is the greatest cell alone.
    """
    rows, columns = grid
    peak, place = values.max(-1, keepdim=True)
    above = (values >= level * peak) & (values > 0)
    seed = torch.zeros_like(above).scatter_(-1, place, True)
    component = seed.float().reshape(-1, 1, rows, columns)
    allowed = (above | seed).float().reshape(-1, 1, rows, columns)
    for _ in range(rows * columns):
        grown = F.max_pool2d(component, 3, stride=1, padding=1) * allowed
        if torch.equal(grown, component):
            break
        component = grown
    return component.bool().view(values.shape)


def spread_box(
    values: Float[Tensor, "... C"],
    cells: Bool[Tensor, "... C"],
    grid: tuple[int, int],
    deviations: float = 1.73,
) -> Float[Tensor, "... 4"]:
    """(centre x, centre y, width, height), fractions of the image: mean ± `deviations` standard deviations.

    Mean and deviation of the position, weighted by the positive values of `cells`, each cell's weight spread evenly
    over its area. For an object that fills its box evenly, √3 = 1.73 gives that box. The box is cut at the image's
    edge.
    """
    rows, columns = grid
    weight = (values.clamp(min=0) * cells).double()
    total = weight.sum(-1, keepdim=True)
    weight = torch.where(total > 0, weight, cells.double())
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-12)
    number = torch.arange(rows * columns, device=values.device)
    corners = []
    for place, count in ((number % columns, columns), (number // columns, rows)):
        centre = (place.double() + 0.5) / count
        mean = (weight * centre).sum(-1)
        # 1/12: the variance of an even spread over a cell of side 1.
        variance = (weight * (centre - mean[..., None]).square()).sum(-1) + 1 / (12 * count**2)
        corners.append((mean - deviations * variance.sqrt(), mean + deviations * variance.sqrt()))
    (left, right), (top, bottom) = ((low.clamp(0, 1), high.clamp(0, 1)) for low, high in corners)
    box = torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], -1)
    return box.to(values.dtype)
