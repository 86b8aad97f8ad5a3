"""The cells of the last map that a box covers: a hard mask for players, and a differentiable soft mask.

Shapes: M boxes, C = rows × columns cells in row-major order. Boxes are (centre x, centre y, width, height) as
fractions of the image.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def cell_centres(grid: tuple[int, int], like: Tensor) -> Float[Tensor, "C 2"]:
    """(x, y) of each cell's centre as fractions of the image, on the device and in the dtype of `like`."""
    rows, columns = grid
    y = (torch.arange(rows, device=like.device, dtype=like.dtype) + 0.5) / rows
    x = (torch.arange(columns, device=like.device, dtype=like.dtype) + 0.5) / columns
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], -1)


def hard_mask(boxes: Float[Tensor, "... M 4"], grid: tuple[int, int]) -> Bool[Tensor, "... M C"]:
    """True at cells whose centre lies in the box, and at the cell that contains the box's centre.

    So every box covers at least one cell, however small it is.
    """
    boxes = boxes.detach()
    distance = (cell_centres(grid, boxes) - boxes[..., None, :2]).abs()
    inside = (distance <= boxes[..., None, 2:] / 2).all(-1)
    return inside | home_cell(boxes, grid)


def touched_mask(boxes: Float[Tensor, "... M 4"], grid: tuple[int, int]) -> Bool[Tensor, "... M C"]:
    """True at every cell that the box reaches into, and at the cell that contains the box's centre."""
    boxes = boxes.detach()
    rows, columns = grid
    distance = (cell_centres(grid, boxes) - boxes[..., None, :2]).abs()
    reach = (boxes[..., None, 2:] + boxes.new_tensor([1 / columns, 1 / rows])) / 2
    touches = (distance < reach - 1e-6).all(-1)  # by more than a rounding error
    return touches | home_cell(boxes, grid)


def home_cell(boxes: Float[Tensor, "... M 4"], grid: tuple[int, int]) -> Bool[Tensor, "... M C"]:
    """True at the one cell that contains each box's centre."""
    rows, columns = grid
    column = (boxes[..., 0] * columns).long().clamp(0, columns - 1)
    row = (boxes[..., 1] * rows).long().clamp(0, rows - 1)
    return F.one_hot(row * columns + column, rows * columns).bool()


def soft_mask(
    boxes: Float[Tensor, "... M 4"], grid: tuple[int, int], softness: float = 0.2
) -> Float[Tensor, "... M C"]:
    """How far each cell's centre lies inside the box, 0..1, differentiable in all four coordinates.

    A product over the four edges of a sigmoid of (distance from cell centre to edge, in cells) / `softness`: 1/2 on an
    edge, nearly 1 one cell inside, nearly 0 one cell outside. It is divided by its value at the middle of the box, so
    that the mask of a box of one cell is not weaker than that of a wide one.
    """
    rows, columns = grid
    cells = boxes.new_tensor([columns, rows])
    offset = (cell_centres(grid, boxes) - boxes[..., None, :2]) * cells
    half = boxes[..., None, 2:] * cells / 2
    edges = F.logsigmoid((half - offset) / softness) + F.logsigmoid((half + offset) / softness)
    middle = 2 * F.logsigmoid(half / softness)
    return (edges - middle).sum(-1).exp()


def pool(patches: Float[Tensor, "B C D"], masks: Float[Tensor, "B M C"]) -> Float[Tensor, "B M D"]:
    """Unit-length mean of the patch tokens under each mask: a region's embedding."""
    return F.normalize(masks.to(patches.dtype) @ patches, dim=-1)
