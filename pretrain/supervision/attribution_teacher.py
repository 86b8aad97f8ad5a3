"""The teacher of phrase_attribution: what each phrase owns of an image, from one set of coalitions for all phrases.

Shapes: B pairs, S of them looked at, N phrases, C cells, L tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.objectives import PhraseAttributionOptions
from pretrain.objectives.inputs import Features
from pretrain.objectives.phrase_attribution import Distillation
from pretrain.regions.attribution_boxes import connected_cells, spread_box
from pretrain.regions.saliency import parts_of_phrases, saliency, salient_parts
from pretrain.shapley.attribution import phrase_attributions
from pretrain.shapley.games import TokenGame
from pretrain.shapley.undisturbed import undisturbed
from pretrain.supervision.phrases import encode_alone, phrase_embeddings


class AttributionTeacher(nn.Module):
    """Asks the dual encoder itself, on a fixed number of images a step; the same number of forwards on every rank."""

    steps: Tensor

    def __init__(self, options: PhraseAttributionOptions, chunk: int, steps: int = 0) -> None:
        """`steps`: those that the dual encoder has behind it already."""
        super().__init__()
        self.options, self.chunk = options, chunk
        self.register_buffer("steps", torch.tensor(steps, dtype=torch.int64))

    def forward(
        self, encoder: DualEncoder, region_generator: RegionGenerator, features: Features, batch: Batch
    ) -> Distillation | None:
        """What it says of S images of this rank, None before `first_step`."""
        self.steps += 1
        options = self.options
        if int(self.steps) <= options.first_step:
            return None
        generator = torch.Generator().manual_seed((torch.initial_seed() + 1) % 2**63)
        device = batch.input_ids.device
        row = torch.randperm(len(batch), generator=generator)[: options.images].to(device)
        game = TokenGame(
            encoder,
            batch.pixel_values[row],
            batch.input_ids[row],
            batch.attention_mask[row],
            context="full_text",
            chunk=self.chunk,
        )
        tokens, mask = batch.phrase_tokens[row], batch.phrase_mask[row]
        found = phrase_attributions(
            game,
            encode_alone(encoder, batch, row, options.longest),
            options.evaluations,
            generator,
            ridge=options.ridge,
        )
        values = found.values.float()
        peak, place = values.max(-1)
        error = found.error.float().gather(-1, place[..., None])[..., 0]
        trusted = mask & (peak > options.trust * error) & (found.whole > found.empty)
        if options.shape == "saliency":
            with undisturbed(encoder):
                _, whole = encoder.encode_image(batch.pixel_values[row])
            outlines = saliency(whole.float())
            cells, held = parts_of_phrases(values, *salient_parts(outlines, encoder.grid))
            trusted = trusted & (held > 0)
            outlines = outlines[:, None].expand_as(values)
        else:
            outlines, cells = values, connected_cells(values, encoder.grid, options.level)
        boxes, logits = region_generator.every_cell(features.patches[row])
        return Distillation(
            cells=cells,
            attributions=values,
            boxes=spread_box(outlines, cells, encoder.grid, options.deviations),
            trusted=trusted,
            student_boxes=boxes,
            student_logits=logits,
            patches=features.patches[row],
            phrases=phrase_embeddings(features.words[row], tokens),
            grid=encoder.grid,
        )
