"""Boxes that may hold what a text names, and how they are made of maps over the cells.

Shapes: N texts, P candidates, C cells. Boxes are (centre x, centre y, width, height), fractions of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.attribution_boxes import spread_box
from pretrain.regions.saliency import salient_parts


@dataclass(frozen=True)
class Candidates:
    """Boxes of each text, or of all texts alike (N = 1). Entries that are not `real` are padding."""

    boxes: Float[Tensor, "N P 4"]
    real: Bool[Tensor, "N P"]
    confidence: Float[Tensor, "N P"]
    """The proposer's confidence that the box holds an object, 0..1; 1 where it gives none."""


Proposer = Callable[[TokenEncoder, Tensor, Tensor, ProposalOptions, int], Candidates]
"""(encoder, pixels [1, 3, H, W], texts [N, D], options, most candidates per text) → candidates."""


def shared_by_texts(corners: Int[np.ndarray, "P 4"], pixels: Float[Tensor, "1 3 H W"]) -> Candidates:
    """The candidates of all texts alike from boxes (left, top, right, bottom) in px; the whole image where none is."""
    height, width = pixels.shape[-2:]
    corners = corners if len(corners) else np.array([[0, 0, width, height]])
    places = torch.from_numpy(corners / [width, height, width, height]).to(pixels)[None]
    low, high = places[..., :2], places[..., 2:]
    boxes = torch.cat([(low + high) / 2, high - low], -1)
    real = torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    return Candidates(boxes, real, real.to(boxes.dtype))


def boxes_of_maps(
    values: Float[Tensor, "N C"], grid: tuple[int, int], count: int, level: float, box: str = "spread"
) -> Candidates:
    """Up to `count` boxes per map, its greatest peak first: the connected cells above `level` of the peak.

    Further peaks are those of at least `level` of the greatest, outside the cells taken before. A map without a
    positive value keeps its greatest cell. `box` is "spread" or "hull" (`ProposalOptions.box`).
    """
    parts, real = salient_parts(values, grid, count, level)
    real[:, 0] = True
    most = int(real.sum(1).max())
    parts, real = parts[:, :most], real[:, :most]
    weights = values[:, None].expand(parts.shape)
    boxes = spread_box(weights, parts, grid) if box == "spread" else hull_box(parts, grid)
    return Candidates(boxes, real, torch.ones_like(boxes[..., 0]))


def hull_box(cells: Bool[Tensor, "... C"], grid: tuple[int, int]) -> Float[Tensor, "... 4"]:
    """The smallest box that holds all cells (one at least)."""
    rows, columns = grid
    plane = cells.unflatten(-1, grid)
    sides = []
    for along, number in ((plane.any(-2), columns), (plane.any(-1), rows)):
        first = along.float().argmax(-1)
        last = number - along.flip(-1).float().argmax(-1)
        sides.append(((first + last) / (2 * number), (last - first) / number))
    (x, width), (y, height) = sides
    return torch.stack([x, y, width, height], -1)
