"""The ways to propose boxes, by name: from the region head, from maps over the cells, from groups of cells.

Shapes: N texts, P candidates, C cells, D width. Boxes are (centre x, centre y, width, height), fractions of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation.attribution_maps import attribution_maps
from pretrain.evaluation.localisation.baseline_maps import (
    cluster_cells,
    gradcam_maps,
    pixel_maps,
    saliency_map,
)
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.attribution_boxes import spread_box
from pretrain.regions.boxes import most_confident
from pretrain.regions.saliency import salient_parts
from pretrain.regions.soft_mask import hard_mask


@dataclass(frozen=True)
class ProposalOptions:
    """How boxes are proposed; each way reads what concerns it."""

    box: str = "spread"  # of a group of cells: "spread" (mean ± 1.73 deviations) or "hull" (all of its cells)
    level: float | None = (
        None  # share of the greatest cell from which cells belong to it; None: the way's own
    )
    evaluations: int = 256  # masked copies of an image (attribution)
    ridge: float = 0.05  # shrinkage of attributions, of the mean diagonal
    clusters: int = 8  # groups of cells (kmeans)
    regions: int = 16  # most confident boxes that are kept (regions)
    suppress_above: float = 0.7  # IoU above which the less confident box goes (regions)
    chunk: int = 256  # masked copies in one forward pass

    def __post_init__(self) -> None:
        allowed = {
            "box": self.box in ("spread", "hull"),
            "level": self.level is None or 0 < self.level <= 1,
            "evaluations": self.evaluations >= 4,
            "ridge": self.ridge >= 0,
            "clusters": self.clusters >= 1,
            "regions": self.regions >= 1,
            "suppress_above": 0 <= self.suppress_above <= 1,
            "chunk": self.chunk >= 1,
        }
        for name, good in allowed.items():
            if not good:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed are {_ALLOWED[name]}")


_ALLOWED = {
    "box": "spread, hull",
    "level": "shares above 0 up to 1",
    "evaluations": "4 and more masked copies",
    "ridge": "numbers from 0",
    "clusters": "1 and more groups",
    "regions": "1 and more boxes",
    "suppress_above": "IoUs from 0 to 1",
    "chunk": "1 and more images",
}


@dataclass(frozen=True)
class Candidates:
    """Boxes of each text, or of all texts alike (N = 1)."""

    boxes: Float[Tensor, "N P 4"]
    real: Bool[Tensor, "N P"]
    confidence: Float[Tensor, "N P"]
    """How sure the way itself is that there is anything, 0..1; 1 where it does not say."""


Proposer = Callable[[TokenEncoder, Tensor, Tensor, ProposalOptions, int], Candidates]
"""(encoder, pixels [1, 3, H, W], texts [N, D], options, most candidates of a text) → candidates."""


def _regions(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """The region head's most confident boxes, the same for every text."""
    if encoder.region_generator is None:
        raise InputError(
            "the export has no region_head.safetensors, which proposals 'regions' need; "
            f"use {', '.join(name for name in PROPOSERS if name != 'regions')}"
        )
    with torch.no_grad():
        boxes, logits = encoder.region_generator.every_cell(encoder.patches(pixels))
    count = min(options.regions, boxes.shape[1])
    chosen = most_confident(logits, boxes, count, options.suppress_above)
    boxes = boxes.gather(1, chosen[..., None].expand(-1, -1, 4))
    real = torch.ones_like(chosen, dtype=torch.bool)
    return Candidates(boxes, real, logits.gather(1, chosen).sigmoid())


def _kmeans(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """Groups of like patch tokens, each connected part a box, the same for every text."""
    groups = cluster_cells(encoder.patches(pixels)[0], options.clusters).float()
    found = boxes_of_maps(groups, encoder.grid, groups.shape[1], 1.0, options.box)
    boxes, real = found.boxes[found.real], found.real[found.real]
    return Candidates(boxes[None], real[None], torch.ones_like(boxes[None, :, 0]))


def _saliency(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """What stands out of the background, each connected part a box, the same for every text."""
    level = 0.5 if options.level is None else options.level
    values = saliency_map(encoder.patches(pixels)[0])
    return boxes_of_maps(values, encoder.grid, options.regions, level, options.box)


def _from_maps(maps: Callable[..., Tensor], level: float) -> Proposer:
    """Boxes around the peaks of one map per text; `level` is this way's own."""

    def propose(
        encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
    ) -> Candidates:
        values = maps(encoder, pixels, texts, options)
        own = level if options.level is None else options.level
        return boxes_of_maps(values, encoder.grid, count, own, options.box)

    return propose


def _attribution(encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions) -> Tensor:
    return attribution_maps(
        encoder, pixels, texts, evaluations=options.evaluations, ridge=options.ridge, chunk=options.chunk
    )


PROPOSERS: dict[str, Proposer] = {
    "regions": _regions,
    "pixel": _from_maps(lambda encoder, pixels, texts, _: pixel_maps(encoder, pixels, texts), level=0.5),
    "kmeans": _kmeans,
    "gradcam": _from_maps(lambda encoder, pixels, texts, _: gradcam_maps(encoder, pixels, texts), level=0.5),
    "saliency": _saliency,
    "attribution": _from_maps(_attribution, level=0.25),
}


def choose_proposer(name: str | None, encoder: TokenEncoder) -> tuple[str, Proposer]:
    """The way of that name; None: the region head where the export has one, else attribution."""
    if name is None:
        name = "attribution" if encoder.region_generator is None else "regions"
    if name not in PROPOSERS:
        raise InputError(f"proposals is {name!r}; allowed are {', '.join(PROPOSERS)}")
    return name, PROPOSERS[name]


def proposal_options(given: dict[str, Any]) -> ProposalOptions:
    """Options from keywords. Raises InputError naming the known ones."""
    known = [field.name for field in fields(ProposalOptions)]
    for name in given:
        if name not in known:
            raise InputError(f"option {name!r} is unknown; allowed are {', '.join(known)}")
    return ProposalOptions(**given)


def boxes_of_maps(
    values: Float[Tensor, "N C"], grid: tuple[int, int], count: int, level: float, box: str = "spread"
) -> Candidates:
    """Up to `count` boxes a map, its greatest peak first: the cells that hang together above `level` of the peak.

    Further peaks are those of at least `level` of the greatest, outside the cells taken before. A map without a
    positive value keeps its greatest cell. With "hull" a box is the smallest that holds the cells.
    """
    parts, real = salient_parts(values, grid, count, level)
    real[:, 0] = True
    most = int(real.sum(1).max())
    parts, real = parts[:, :most], real[:, :most]
    own = values[:, None].expand(parts.shape)
    boxes = spread_box(own, parts, grid) if box == "spread" else hull_box(parts, grid)
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


def embed_boxes(
    encoder: TokenEncoder,
    pixels: Float[Tensor, "1 3 H W"],
    boxes: Float[Tensor, "R 4"],
    how: str = "alone",
    chunk: int = 256,
) -> Float[Tensor, "R D"]:
    """What stands for a box, to be compared with texts.

    - "alone": the embedding of the image with only that box present;
    - "dropped": what the image's embedding loses without the box (occlusion: Zeiler and Fergus, 2014), not unit length.
      A picture with a hole is more like what a tower has seen than a hole with a picture;
    - "patches": the unit-length mean of its patch tokens.
    Boxes that cover the same cells are embedded once.
    """
    masks, back = torch.unique(hard_mask(boxes, encoder.grid), dim=0, return_inverse=True)
    keep = masks.to(pixels.dtype)
    if how == "alone":
        return encoder.masked(pixels, keep, chunk)[back]
    if how == "dropped":
        whole = encoder.masked(pixels, torch.ones_like(keep[:1]), chunk)
        return (whole - encoder.masked(pixels, 1 - keep, chunk))[back]
    if how == "patches":
        return torch.nn.functional.normalize(keep @ encoder.patches(pixels)[0], dim=-1)[back]
    raise InputError(f"embedding is {how!r}; allowed are alone, dropped, patches")
