"""What a box is worth among random coalitions of its image, and how that changes with its mask.

Shapes: B pairs, K of them looked at with one region each, C cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.objectives import BoxValueOptions
from pretrain.objectives.box_value import BoxValues
from pretrain.objectives.inputs import Features
from pretrain.shapley.undisturbed import undisturbed


class BoxAscent(nn.Module):
    """Values of some boxes a step, each of another image: 2 forwards a box and 2 backwards; with `others` all, one."""

    def __init__(self, options: BoxValueOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, encoder: DualEncoder, region_generator: RegionGenerator, features: Features, batch: Batch
    ) -> BoxValues:
        """v1(T ∪ box) - v1(T) for one region of each of K images; no cell of the box is in T.

        T holds the cells outside at a share that is uniform in 0..1, or all of them (`others`).
        """
        generator = torch.Generator().manual_seed((torch.initial_seed() + 2) % 2**63)
        device = batch.input_ids.device
        row = torch.randperm(len(batch), generator=generator)[: self.options.regions].to(device)
        regions = region_generator(features.patches[row])
        chosen = torch.randint(regions.boxes.shape[1], (len(row),), generator=generator).to(device)
        masks = regions.soft_masks[torch.arange(len(row), device=device), chosen]
        share = torch.rand(len(row), 1, generator=generator)
        if self.options.others == "all":
            share = torch.ones_like(share)
        others = (torch.rand(masks.shape, generator=generator) < share).to(device, torch.float32)
        text, pixels = features.texts[row].detach().float(), batch.pixel_values[row]
        box = masks.detach().float().requires_grad_()

        def worth(keep: Tensor) -> Tensor:
            return (encoder.encode_image(pixels, keep)[0].float() * text).sum(-1)

        with undisturbed(encoder):
            everything = worth(others) if self.options.others == "all" else None  # has no slope
            with torch.enable_grad():
                joined = worth(others + (1 - others) * box) if everything is None else everything
                value = joined - worth(others * (1 - box))
                # Only the slope in the mask is asked for: no parameter of the towers gets a gradient.
                (slopes,) = torch.autograd.grad(value.sum(), box)
        return BoxValues(masks, value.detach(), slopes)
