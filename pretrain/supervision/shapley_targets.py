"""The supplier `shapley`: regions, their Shapley interactions as targets, and UNSIL's predictions of them.

The objectives token_semantics, fine_grained and unsil share its targets, which are computed once per step. The recipe
fixes the number of coalition forwards, whatever the uncertainty, so shapes are the same on every rank.

Shapes: B pairs, M regions, N phrases, C cells, L tokens, D width, K sampled regions, E evaluations each.
"""

from __future__ import annotations

import sys

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.models.region_generator import Regions
from pretrain.models.unsil import TokenUnsil
from pretrain.objectives.inputs import ShapleyTargets
from pretrain.objectives.phrase_attribution import LONGEST_PHRASE
from pretrain.regions.pixel_masks import box_pixels
from pretrain.shapley.exact import semantic_interactions
from pretrain.shapley.games import TokenGame, between_specials
from pretrain.shapley.normalise import row_distributions, soft_labels
from pretrain.shapley.sampled import merged_interaction
from pretrain.shapley.targets import per_size, region_targets
from pretrain.shapley.undisturbed import undisturbed
from pretrain.step_context import StepContext
from pretrain.supervision.config import EXACT_TARGETS, ZERO, SupervisionConfig
from pretrain.supervision.hybrid_rule import HybridSupervision, Selection, merge
from pretrain.supervision.phrases import encode_alone, encode_phrases, phrase_embeddings
from pretrain.supervision.region_values import ImageParts, added_by_regions, encodes_alike, pooled_features
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting


class ShapleySupervision(Supplier):
    """Computes Shapley targets and trains UNSIL (LOUPE sections 3.2 to 3.4); UNSIL is not exported."""

    uses_regions = True

    def __init__(
        self, config: SupervisionConfig, dim: int, pairs: int, max_tokens: int, first_step: int = 0
    ) -> None:
        """`pairs` is the number of pairs of one rank per step; warm-up starts at the run's `first_step`."""
        super().__init__()
        self.config, self.max_tokens = config, max_tokens
        self.token_unsil = TokenUnsil(dim, width=config.head_width, body=config.unsil_body)
        budget = pairs * config.regions if config.budget is None else config.budget
        # Mode "sampled" is a warm-up that never ends: images are drawn with equal probability and nothing is predicted.
        warmup = config.warmup_steps if config.mode == "hybrid" else sys.maxsize
        evaluations = EXACT_TARGETS.get(config.target, config.evaluations)
        self.hybrid = HybridSupervision(budget, evaluations, warmup_steps=warmup, first_step=first_step)

    @classmethod
    def build(cls, setting: SupplierSetting) -> ShapleySupervision:
        """Build the supplier with the recipe's section `supervision`."""
        return cls(setting.config, setting.dim, setting.pairs, setting.max_tokens, setting.first_step)

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return `ShapleyTargets` for this rank's pairs, and the metrics of the hybrid rule."""
        features, batch, config = inputs.features, inputs.batch, self.config
        assert inputs.region_generator is not None
        regions = inputs.region_generator(features.patches)
        real = torch.ones_like(regions.confidence_logits, dtype=torch.bool)
        words = between_specials(batch.attention_mask)
        prediction = self.token_unsil(
            regions.embeddings, regions.boxes, real, features.patches, features.words, words
        )
        selection = self.hybrid.select(prediction.uncertainty, step)
        added, forwards = None, None
        if config.target in EXACT_TARGETS:
            values, added, forwards = self._added(inputs, regions, selection)
        else:
            values = self._sample(inputs, regions, selection, step.generator)
        self.hybrid.observe(selection, prediction.interaction, values)
        targets, supervised, sampled = merge(selection, prediction.interaction, values)
        self.token_unsil.scale.update(values, selection.sampled_real)
        if added is None:
            phrases = phrase_embeddings(features.words, batch.phrase_tokens)
        else:
            phrases = self._phrases_alone(inputs, selection)
        alignment = torch.einsum("bmd,bnd->bmn", regions.embeddings.float(), phrases.float())
        if added is None:
            known = real
            semantic = semantic_interactions(
                alignment.detach() * config.game_scale,
                real,
                batch.phrase_mask,
                config.absent,
                generator=step.generator,
            )
        else:
            known, semantic = sampled, self._added_for_phrases(added, phrases, selection)
        rows, columns = self._distributions(semantic, known, batch.phrase_mask)
        shapley_targets = ShapleyTargets(
            regions=regions,
            token_labels=soft_labels(targets, supervised, config.labels),
            supervised=supervised,
            prediction=prediction,
            token_targets=targets / self.token_unsil.scale(),
            sampled=sampled,
            alignment=alignment,
            phrases=phrases,
            phrase_mask=batch.phrase_mask,
            semantic_targets=rows,
            phrase_targets=columns,
            known=known,
        )
        metrics = self.hybrid.metrics(selection, len(batch), forwards)
        return Supplied(shapley_targets, {f"supervision_{name}": value for name, value in metrics.items()})

    def _distributions(
        self,
        semantic: Float[Tensor, "B M N"],
        known: Bool[Tensor, "B M"],
        phrase_mask: Bool[Tensor, "B N"],
    ) -> tuple[Float[Tensor, "B M N"], Float[Tensor, "B M N"]]:
        """Return the interactions as rows that sum to one over phrases, and as columns that sum to one over regions."""
        columns = row_distributions(semantic.mT, phrase_mask, known, self.config.rows).mT
        return row_distributions(semantic, known, phrase_mask, self.config.rows), columns

    def _sample(
        self,
        inputs: SupplierInputs,
        regions: Regions,
        selection: Selection,
        generator: torch.Generator,
    ) -> Float[Tensor, " K"]:
        """Return the token-game targets of the selected regions, each in the game of its own pair."""
        config, batch, row = self.config, inputs.batch, self._rows(selection)
        # Captions are padded to `max_tokens` so that every rank runs the same number of text forwards.
        spare = self.max_tokens - batch.input_ids.shape[1]
        game = TokenGame(
            inputs.encoder,
            batch.pixel_values[row],
            F.pad(batch.input_ids[row], (0, spare)),
            F.pad(batch.attention_mask[row], (0, spare)),
            context=config.context,
            chunk=config.chunk,
        )
        cells = regions.hard_masks.flatten(0, 1)[selection.sampled]
        players = F.pad(cells, (0, game.player_mask.shape[1] - cells.shape[1]))[:, None]
        estimate = merged_interaction(
            game,
            players,
            game.player_mask,
            config.evaluations,
            generator,
            members_alone=config.target != "value",
        )
        values, _ = region_targets(estimate, config.target, size_exponent=config.size_exponent)
        return values[:, 0].float()

    def _added(
        self, inputs: SupplierInputs, regions: Regions, selection: Selection
    ) -> tuple[Float[Tensor, " K"], Float[Tensor, "K D"], int]:
        """Return exact targets of the selected regions, what each adds to its image's embedding, and the forwards."""
        config, batch, encoder, rows = self.config, inputs.batch, inputs.encoder, self._rows(selection)
        boxes = regions.boxes.detach().flatten(0, 1)[selection.sampled]
        if config.fill == ZERO:
            masks = regions.hard_masks.flatten(0, 1)[selection.sampled].to(batch.pixel_values.dtype)
        else:
            height, width = batch.pixel_values.shape[-2:]
            masks = box_pixels(boxes.float(), (height, width)).to(batch.pixel_values.dtype)
        parts = ImageParts(encoder, batch.pixel_values, config.fill, config.pooling, config.chunk)
        features, alike = inputs.features, encodes_alike(encoder, inputs.features)
        words = between_specials(batch.attention_mask)
        whole, texts = pooled_features(features, config.pooling, words)
        if not alike:
            with undisturbed(encoder):
                texts = encode_phrases(encoder, batch.input_ids, batch.attention_mask, config.pooling).float()
        added = added_by_regions(parts, rows, masks, config.target, whole if alike else None)
        values = (added * texts[rows]).sum(-1)
        size = masks.flatten(1).float().sum(-1) * (encoder.cells / masks[0].numel())  # in cells
        values = per_size(values[:, None], size[:, None], config.size_exponent)[:, 0]
        return values, added, parts.forwards

    def _rows(self, selection: Selection) -> Int[Tensor, " K"]:
        """Return the index of the pair that each selected region belongs to."""
        return torch.div(selection.sampled, self.config.regions, rounding_mode="floor")

    def _phrases_alone(self, inputs: SupplierInputs, selection: Selection) -> Float[Tensor, "B N D"]:
        """Return each phrase encoded as a text of its own, for pairs with a selected region; zeros for other pairs."""
        rows = self._rows(selection).unique()
        alone = encode_alone(inputs.encoder, inputs.batch, rows, LONGEST_PHRASE, self.config.pooling)
        return alone.new_zeros(len(inputs.batch), *alone.shape[1:]).index_copy(0, rows, alone)

    def _added_for_phrases(
        self, added: Float[Tensor, "K D"], phrases: Float[Tensor, "B N D"], selection: Selection
    ) -> Float[Tensor, "B M N"]:
        """Return the similarity that each phrase owes to a selected region; zeros for other regions."""
        owed = (phrases[self._rows(selection)] @ added[..., None])[..., 0]
        of_all = owed.new_zeros(len(phrases) * self.config.regions, owed.shape[1])
        return of_all.index_copy(0, selection.sampled, owed).unflatten(0, (len(phrases), -1))
