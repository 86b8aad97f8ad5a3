"""Boxes as (centre x, centre y, width, height), fractions of the image: corners, overlap, suppression."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def to_corners(boxes: Float[Tensor, "... 4"], *, clip: bool = True) -> Float[Tensor, "... 4"]:
    """(left, top, right, bottom) as fractions of the image, cut at its edges unless `clip` is False."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    corners = torch.cat([centre - half, centre + half], -1)
    return corners.clamp(0, 1) if clip else corners


def overlap(a: Float[Tensor, "... A 4"], b: Float[Tensor, "... B 4"]) -> Float[Tensor, "... A B"]:
    """Intersection over union of every box of `a` with every box of `b`, both cut at the image's edges."""
    a, b = to_corners(a).unsqueeze(-2), to_corners(b).unsqueeze(-3)
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    both = sides.prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)
    return both / (area_a + area_b - both).clamp(min=1e-12)


@torch.no_grad()
def most_confident(
    scores: Float[Tensor, "B C"],
    boxes: Float[Tensor, "B C 4"],
    count: int,
    suppress_above: float | None = None,
) -> Int[Tensor, "B M"]:
    """Indices of the `count` highest scores of each image, best first.

    With `suppress_above`, a box that overlaps a chosen one of a higher score by more than that IoU is left out (greedy
    non-maximum suppression); where too few remain, suppressed boxes follow, best first, so that the count is the same
    for every image.
    """
    if suppress_above is None:
        return scores.topk(count, dim=1).indices
    # Ranks instead of scores: subtracting a multiple of `cells` orders them behind all others exactly.
    cells = scores.shape[1]
    rank = scores.argsort(1).argsort(1)
    mutual = overlap(boxes, boxes) > suppress_above
    suppressed = torch.zeros_like(rank, dtype=torch.bool)
    taken = torch.zeros_like(suppressed)
    chosen = []
    for _ in range(count):
        best = (rank - cells * suppressed - 2 * cells * taken).argmax(1, keepdim=True)
        chosen.append(best)
        taken.scatter_(1, best, True)
        suppressed |= mutual.gather(1, best.unsqueeze(-1).expand(-1, -1, cells)).squeeze(1)
    return torch.cat(chosen, 1)
