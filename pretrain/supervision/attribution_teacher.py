"""The teacher of phrase_attribution: finds the cells of each phrase in an image, with one set of coalitions per image.

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
    """Attributes phrases to cells on S images per step, with the same number of forward passes on every rank."""

    uses_regions = True

    def __init__(self, options: PhraseAttributionOptions, chunk: int) -> None:
        """`chunk` is the number of masked inputs per forward pass; it bounds memory."""
        super().__init__()
        self.options, self.chunk = options, chunk

    @classmethod
    def build(cls, setting: SupplierSetting) -> AttributionTeacher:
        """Build the teacher with the options of the objective phrase_attribution."""
        options = setting.options_of("phrase_attribution", PhraseAttributionOptions)
        return cls(options, setting.config.chunk)

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return a `Distillation` of S images of this rank, or no targets before the option `first_step`."""
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
            encode_alone(encoder, batch, rows, options.longest, "embedding"),
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
            outline_values = saliency(patches.float())
            cells, part_sums = parts_of_phrases(values, *salient_parts(outline_values, encoder.grid))
            trusted = trusted & (part_sums > 0)
            outline_values = outline_values[:, None].expand_as(values)
        else:
            outline_values, cells = values, connected_cells(values, encoder.grid, options.level)
        boxes, logits = region_generator.every_cell(inputs.features.patches[rows])
        return Supplied(
            Distillation(
                cells=cells,
                attributions=values,
                boxes=spread_box(outline_values, cells, encoder.grid, options.deviations),
                trusted=trusted,
                student_boxes=boxes,
                student_logits=logits,
                patches=inputs.features.patches[rows],
                phrases=phrase_embeddings(inputs.features.words[rows], tokens),
                grid=encoder.grid,
            )
        )
