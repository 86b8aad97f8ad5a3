"""The teacher of phrase_attribution: each phrase's cells in an image, from one set of coalitions for all phrases.

Shapes: B pairs, S of them evaluated, N phrases, C cells, L tokens, D width.
"""

from __future__ import annotations

import torch

from pretrain.objectives.phrase_attribution import Distillation, PhraseAttributionOptions
from pretrain.regions.attribution_boxes import connected_cells, spread_box
from pretrain.regions.saliency import parts_of_phrases, saliency, salient_parts
from pretrain.shapley.attribution import phrase_attributions
from pretrain.shapley.games import TokenGame
from pretrain.shapley.undisturbed import undisturbed
from pretrain.step_context import StepContext
from pretrain.supervision.phrases import encode_alone, phrase_embeddings
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting


class AttributionTeacher(Supplier):
    """Evaluates the dual encoder itself on S images per step, the same number of forwards on every rank."""

    uses_regions = True

    def __init__(self, options: PhraseAttributionOptions, chunk: int) -> None:
        """`chunk`: masked inputs per forward pass; bounds memory."""
        super().__init__()
        self.options, self.chunk = options, chunk

    @classmethod
    def build(cls, setting: SupplierSetting) -> AttributionTeacher:
        """With the options of the objective phrase_attribution."""
        options = setting.options_of("phrase_attribution", PhraseAttributionOptions)
        return cls(options, setting.config.chunk)

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """`Distillation` of S images of this rank; None before the option `first_step`."""
        options = self.options
        if step.step < options.first_step:
            return Supplied(None)
        encoder, region_generator, batch = inputs.encoder, inputs.region_generator, inputs.batch
        assert region_generator is not None
        generator = step.generator
        device = batch.input_ids.device
        rows = torch.randperm(len(batch), generator=generator)[: options.images].to(device)
        game = TokenGame(
            encoder,
            batch.pixel_values[rows],
            batch.input_ids[rows],
            batch.attention_mask[rows],
            context="full_text",
            chunk=self.chunk,
        )
        tokens, mask = batch.phrase_tokens[rows], batch.phrase_mask[rows]
        attribution = phrase_attributions(
            game,
            encode_alone(encoder, batch, rows, options.longest),
            options.evaluations,
            generator,
            ridge=options.ridge,
        )
        values = attribution.values.float()
        peak, place = values.max(-1)
        error = attribution.error.float().gather(-1, place[..., None])[..., 0]
        trusted = mask & (peak > options.trust * error) & (attribution.whole > attribution.empty)
        if options.shape == "saliency":
            with undisturbed(encoder):
                _, patches = encoder.encode_image(batch.pixel_values[rows])
            outlines = saliency(patches.float())
            cells, held = parts_of_phrases(values, *salient_parts(outlines, encoder.grid))
            trusted = trusted & (held > 0)
            outlines = outlines[:, None].expand_as(values)
        else:
            outlines, cells = values, connected_cells(values, encoder.grid, options.level)
        boxes, logits = region_generator.every_cell(inputs.features.patches[rows])
        return Supplied(
            Distillation(
                cells=cells,
                attributions=values,
                boxes=spread_box(outlines, cells, encoder.grid, options.deviations),
                trusted=trusted,
                student_boxes=boxes,
                student_logits=logits,
                patches=inputs.features.patches[rows],
                phrases=phrase_embeddings(inputs.features.words[rows], tokens),
                grid=encoder.grid,
            )
        )
