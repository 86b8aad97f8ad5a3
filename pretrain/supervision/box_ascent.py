"""The value of a box next to a coalition of the other cells of its image, and the slope of that value in its mask.

Shapes: B pairs, K of them evaluated with one region each, C cells.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from pretrain.models.max_pooling import max_pooled
from pretrain.objectives.box_value import BoxValueOptions, BoxValues
from pretrain.regions.pixel_masks import FILLINGS, box_pixels, with_parts
from pretrain.shapley.games import between_specials
from pretrain.shapley.undisturbed import undisturbed
from pretrain.step_context import StepContext
from pretrain.supervision.phrase_texts import drawn_phrases
from pretrain.supervision.phrases import encode_phrases, phrases_alone
from pretrain.supervision.region_values import encodes_alike, pooled_features
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting


class BoxAscent(Supplier):
    """Computes the values of K boxes per step, each of a different image.

    A box costs 2 image forwards and 2 backwards; with the option `others: all` it costs 2 forwards and 1 backward, and
    with `boxes: phrase` 3 forwards and 2 backwards, and one forward more where a tower has dropout.
    """

    uses_regions = True

    def __init__(self, options: BoxValueOptions, first_step: int = 0) -> None:
        super().__init__()
        self.options, self.first_step = options, first_step

    @classmethod
    def build(cls, setting: SupplierSetting) -> BoxAscent:
        """Build the supplier with the options of the objective box_value."""
        return cls(setting.options_of("box_value", BoxValueOptions), setting.config.first_step)

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return `BoxValues` of the boxes that the option `boxes` names; None before the first step."""
        if step.step < self.first_step:
            return Supplied(None)
        rows = torch.randperm(len(inputs.batch), generator=step.generator)[: self.options.regions]
        rows = rows.to(inputs.batch.input_ids.device)
        return Supplied(
            self._of_phrases(inputs, rows, step)
            if self.options.boxes == "phrase"
            else self._of_captions(inputs, rows, step)
        )

    def _of_captions(self, inputs: SupplierInputs, rows: Int[Tensor, " K"], step: StepContext) -> BoxValues:
        """Return v1(T ∪ box) - v1(T) for one region of each of K images; T holds no cell of the box.

        T holds each cell outside the box with a probability that is drawn per image from the uniform distribution on
        0..1, or all of them (option `others`).
        """
        encoder, region_generator, batch = inputs.encoder, inputs.region_generator, inputs.batch
        assert region_generator is not None
        generator = step.generator
        device = batch.input_ids.device
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
        return BoxValues(masks, value.detach(), slopes)

    def _of_phrases(self, inputs: SupplierInputs, rows: Int[Tensor, " K"], step: StepContext) -> BoxValues:
        """Return 1/2 [v(box) - v(∅) + v(N) - v(N ∖ box)] in pixels, v the cosine with a phrase of the image.

        The box is that of the cell that is nearest to the phrase: a box that any phrase may move grows until it holds
        every object.
        """
        encoder, region_generator, batch = inputs.encoder, inputs.region_generator, inputs.batch
        assert region_generator is not None
        slot = drawn_phrases(batch, 1, step.shared_seed)[rows, 0]
        ids, mask = phrases_alone(
            batch.input_ids[rows],
            batch.attention_mask[rows],
            batch.phrase_tokens[rows, slot][:, None],
            min(self.options.longest, batch.input_ids.shape[1]),
        )
        whole = None
        if encodes_alike(encoder, inputs.features):
            words = between_specials(batch.attention_mask)
            whole = pooled_features(inputs.features, self.options.text, words)[0][rows]
        with undisturbed(encoder):
            return self._climbing(inputs, rows, slot, ids[:, 0], mask[:, 0], whole)

    def _climbing(
        self,
        inputs: SupplierInputs,
        rows: Tensor,
        slot: Tensor,
        ids: Tensor,
        mask: Tensor,
        whole: Tensor | None,
    ) -> BoxValues:
        """Return the values of the boxes of phrases `ids`; the encoder is undisturbed already.

        `whole` are the embeddings of the whole images; None: they are computed.
        """
        encoder, region_generator, batch = inputs.encoder, inputs.region_generator, inputs.batch
        assert region_generator is not None
        pixels, patches = batch.pixel_values[rows], inputs.features.patches[rows]
        phrases = encode_phrases(encoder, ids, mask, self.options.text).float()
        best = (patches.detach().float() @ phrases[..., None])[..., 0].argmax(1)
        with torch.enable_grad():
            boxes, _ = region_generator.every_cell(patches)
        height, width = pixels.shape[-2:]
        with torch.enable_grad():
            masks = box_pixels(boxes[torch.arange(len(rows), device=boxes.device), best], (height, width))
        box = masks.detach().to(pixels.dtype).requires_grad_()
        filling = FILLINGS[self.options.fill](pixels)

        def value_of(part: Tensor | None) -> Tensor:
            embeddings, tokens = encoder.encode_image(
                pixels if part is None else with_parts(pixels, part, filling)
            )
            images = max_pooled(tokens) if self.options.text == "max_pooled" else embeddings.float()
            return (images * phrases).sum(-1)

        all_of_it = value_of(None) if whole is None else (whole * phrases).sum(-1)
        outer = all_of_it - value_of(torch.zeros_like(box))
        with torch.enable_grad():
            inner = value_of(box) - value_of(1 - box)
            (slopes,) = torch.autograd.grad(inner.sum(), box)
            covered = masks.flatten(1)
        return BoxValues(
            covered,
            ((outer + inner) / 2).detach(),
            (slopes / 2).flatten(1).float(),
            batch.phrase_mask[rows, slot],
            encoder.cells / (height * width),
        )
