"""Methods that propose boxes: from the region head, from maps over the cells, from groups of cells.

Each is a `Proposer`: (encoder, pixels [1, 3, H, W], texts [N, D], options, most candidates per text) → candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation.attribution_maps import attribution_maps
from pretrain.evaluation.localisation.baseline_maps import (
    cluster_cells,
    gradcam_maps,
    pixel_maps,
    saliency_map,
)
from pretrain.evaluation.localisation.candidates import Candidates, Proposer, boxes_of_maps
from pretrain.evaluation.localisation.dense_maps import maskclip_maps, naclip_maps, sclip_maps
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.boxes import most_confident


def propose_regions(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """The region head's most confident boxes, the same for every text. Raises InputError without a region head."""
    boxes, logits = _of_every_cell(encoder, encoder.patches(pixels))
    count = min(options.regions, boxes.shape[1])
    chosen = most_confident(logits, boxes, count, options.suppress_above)
    boxes = boxes.gather(1, chosen[..., None].expand(-1, -1, 4))
    real = torch.ones_like(chosen, dtype=torch.bool)
    return Candidates(boxes, real, logits.gather(1, chosen).sigmoid())


def propose_answers(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """The region head's boxes of the cells that are nearest to each text. Raises InputError without a region head.

    These are the boxes that box ascent for phrases moves (`objectives.box_value.boxes: phrase`).
    """
    patches = encoder.patches(pixels)
    boxes, _ = _of_every_cell(encoder, patches)
    cells = (texts @ patches[0].T).topk(min(count, boxes.shape[1]), dim=-1).indices
    real = torch.ones_like(cells, dtype=torch.bool)
    return Candidates(boxes[0][cells], real, real.to(boxes.dtype))


def _of_every_cell(encoder: TokenEncoder, patches: Tensor) -> tuple[Tensor, Tensor]:
    """(boxes [1, C, 4], confidence logits [1, C]) of the region head. Raises InputError where there is none."""
    if encoder.region_generator is None:
        from pretrain.evaluation.localisation import (
            PROPOSERS,  # not at the top: that module lists these functions
        )

        of_head = (propose_regions, propose_answers)
        names = [name for name, proposer in PROPOSERS.items() if proposer in of_head]
        others = [name for name in PROPOSERS if name not in names]
        raise InputError(
            "the export has no region_head.safetensors, which proposals "
            f"{' and '.join(map(repr, names))} need; use {', '.join(others)}"
        )
    with torch.no_grad():
        return encoder.region_generator.every_cell(patches)


def propose_clusters(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """A box for each connected part of each k-means group of patch tokens, the same for every text."""
    groups = cluster_cells(encoder.patches(pixels)[0], options.clusters).float()
    candidates = boxes_of_maps(groups, encoder.grid, groups.shape[1], 1.0, options.box)
    boxes, real = candidates.boxes[candidates.real], candidates.real[candidates.real]
    return Candidates(boxes[None], real[None], torch.ones_like(boxes[None, :, 0]))


def propose_salient(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """A box for each connected part that differs from the background, the same for every text."""
    level = 0.5 if options.level is None else options.level
    values = saliency_map(encoder.patches(pixels)[0])
    return boxes_of_maps(values, encoder.grid, options.regions, level, options.box)


TextMaps = Callable[[TokenEncoder, Tensor, Tensor, ProposalOptions], Tensor]
"""(encoder, pixels [1, 3, H, W], texts [N, D], options) → one map per text over the cells [N, C]."""


def from_maps(maps: TextMaps, level: float) -> Proposer:
    """A proposer of boxes around the peaks of one map per text; `level` holds where the options give none."""

    def propose(
        encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
    ) -> Candidates:
        values = maps(encoder, pixels, texts, options)
        chosen = level if options.level is None else options.level
        return boxes_of_maps(values, encoder.grid, count, chosen, options.box)

    propose.__doc__ = maps.__doc__
    return propose


def without_options(maps: Callable[[TokenEncoder, Tensor, Tensor], Tensor]) -> TextMaps:
    """Maps that no option concerns."""

    @wraps(maps)
    def made(encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions) -> Tensor:
        return maps(encoder, pixels, texts)

    return made


def _attribution(encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions) -> Tensor:
    """Shapley value of each cell for the cosine of the image with each text."""
    return attribution_maps(
        encoder, pixels, texts, evaluations=options.evaluations, ridge=options.ridge, chunk=options.chunk
    )


propose_pixel = from_maps(without_options(pixel_maps), level=0.5)
propose_gradcam = from_maps(without_options(gradcam_maps), level=0.5)
propose_maskclip = from_maps(without_options(maskclip_maps), level=0.5)
propose_sclip = from_maps(without_options(sclip_maps), level=0.5)
propose_naclip = from_maps(without_options(naclip_maps), level=0.5)
propose_attribution = from_maps(_attribution, level=0.25)
