"""The value of a box next to a coalition of the other cells of its image, and the slope of that value in its mask.

Shapes: B pairs, K of them evaluated with one region each, C cells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pretrain.objectives.box_value import BoxValueOptions, BoxValues
from pretrain.shapley.undisturbed import undisturbed
from pretrain.step_context import StepContext
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting


class BoxAscent(Supplier):
    """Computes the values of K boxes per step, each of a different image.

    A box costs 2 image forwards and 2 backwards; with the option `others: all` it costs 2 forwards and 1 backward.
    """

    uses_regions = True

    def __init__(self, options: BoxValueOptions) -> None:
        super().__init__()
        self.options = options

    @classmethod
    def build(cls, setting: SupplierSetting) -> BoxAscent:
        """Build the supplier with the options of the objective box_value."""
        return cls(setting.options_of("box_value", BoxValueOptions))

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return `BoxValues`: v1(T ∪ box) - v1(T) for one region of each of K images; T holds no cell of the box.

        T holds each cell outside the box with a probability that is drawn per image from the uniform distribution on
        0..1, or all of them (option `others`).
        """
        encoder, region_generator, batch = inputs.encoder, inputs.region_generator, inputs.batch
        assert region_generator is not None
        generator = step.generator
        device = batch.input_ids.device
        rows = torch.randperm(len(batch), generator=generator)[: self.options.regions].to(device)
        regions = region_generator(inputs.features.patches[rows])
        chosen = torch.randint(regions.boxes.shape[1], (len(rows),), generator=generator).to(device)
        masks = regions.soft_masks[torch.arange(len(rows), device=device), chosen]
        share = torch.rand(len(rows), 1, generator=generator)
        if self.options.others == "all":
            share = torch.ones_like(share)
        others = (torch.rand(masks.shape, generator=generator) < share).to(device, torch.float32)
        texts, pixels = inputs.features.texts[rows].detach().float(), batch.pixel_values[rows]
        box = masks.detach().float().requires_grad_()

        def value_of(keep: Tensor) -> Tensor:
            return (encoder.encode_image(pixels, keep)[0].float() * texts).sum(-1)

        with undisturbed(encoder):
            # With all others present the first term does not depend on the box: no gradient is needed.
            whole = value_of(others) if self.options.others == "all" else None
            with torch.enable_grad():
                joined = value_of(others + (1 - others) * box) if whole is None else whole
                value = joined - value_of(others * (1 - box))
                # Only the gradient of the mask is computed: no parameter of the towers receives one.
                (slopes,) = torch.autograd.grad(value.sum(), box)
        return Supplied(BoxValues(masks, value.detach(), slopes))
