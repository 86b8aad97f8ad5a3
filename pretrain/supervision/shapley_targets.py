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
from pretrain.models.unsil import TokenUnsil, untrained
from pretrain.objectives.inputs import AddedEmbeddings, SemanticTargets, ShapleyTargets
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
        self,
        config: SupervisionConfig,
        dim: int,
        pairs: int,
        max_tokens: int,
        first_step: int = 0,
        *,
        semantic: bool = True,
        predicts: bool = True,
    ) -> None:
        """`pairs` is the number of pairs of one rank per step; warm-up starts at the run's `first_step`.

        `semantic`: whether some objective reads semantic targets, which cost a forward of all phrases or a game.
        `predicts`: whether UNSIL is trained or used; else it is not run.
        """
        super().__init__()
        self.config, self.max_tokens, self.semantic, self.predicts = config, max_tokens, semantic, predicts
        self.exact = config.target in EXACT_TARGETS
        self.token_unsil = TokenUnsil(
            dim, width=config.head_width, body=config.unsil_body, of_embedding=self.exact
        )
        budget = pairs * config.regions if config.budget is None else config.budget
        # Mode "sampled" is a warm-up that never ends: images are drawn with equal probability and nothing is predicted.
        warmup = config.warmup_steps if config.mode == "hybrid" else sys.maxsize
        evaluations = EXACT_TARGETS.get(config.target, config.evaluations)
        self.hybrid = HybridSupervision(
            budget,
            evaluations,
            warmup_steps=warmup,
            first_step=max(first_step, config.first_step),
            leave_overflow=config.overflow == "leave",
        )

    @classmethod
    def build(cls, setting: SupplierSetting) -> ShapleySupervision:
        """Build the supplier with the recipe's section `supervision`."""
        return cls(
            setting.config,
            setting.dim,
            setting.pairs,
            setting.max_tokens,
            setting.first_step,
            semantic="fine_grained" in setting.options,
            predicts="unsil" in setting.options or setting.config.mode == "hybrid",
        )

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return `ShapleyTargets` for this rank's pairs and the hybrid rule's metrics; None before the first step."""
        if step.step < self.config.first_step:
            return Supplied(None)
        features, batch, config = inputs.features, inputs.batch, self.config
        assert inputs.region_generator is not None
        regions = inputs.region_generator(features.patches)
        real = torch.ones_like(regions.confidence_logits, dtype=torch.bool)
        words = between_specials(batch.attention_mask)
        whole, texts = self._embedded(inputs, words) if self.exact else (None, None)
        prediction = (
            self.token_unsil(
                regions.embeddings, regions.boxes, real, features.patches, features.words, words, texts
            )
            if self.predicts
            else untrained(real, features.patches.shape[2] if self.exact else None)
        )
        selection = self.hybrid.select(prediction.uncertainty, step)
        added, forwards = None, None
        if texts is not None:
            added, forwards = self._added(inputs, regions, selection, whole)
            values = (added * texts[self._rows(selection)]).sum(-1)
        else:
            values = self._sample(inputs, regions, selection, step.generator)
        self.hybrid.observe(selection, prediction.interaction, values)
        targets, supervised, sampled = merge(selection, prediction.interaction, values)
        scale_of_predictions = self.token_unsil.scale()
        self.token_unsil.scale.update(values, selection.sampled_real)
        scale = self.token_unsil.scale()
        embeddings = added_targets = None
        if added is not None and texts is not None and prediction.added is not None:
            known = supervised if config.predicted_phrases else sampled
            predicted = prediction.added * scale_of_predictions
            embeddings = self._merged(added, predicted, texts, selection, known)
            added_targets = embeddings.embeddings / scale
        shapley_targets = ShapleyTargets(
            regions=regions,
            token_labels=soft_labels(targets, supervised, config.labels),
            supervised=supervised,
            prediction=prediction,
            token_targets=targets / scale,
            sampled=sampled,
            semantic=self._semantic(inputs, regions, embeddings, step) if self.semantic else None,
            added=embeddings,
            added_targets=added_targets,
        )
        metrics = self.hybrid.metrics(selection, len(batch), forwards)
        return Supplied(shapley_targets, {f"supervision_{name}": value for name, value in metrics.items()})

    def _semantic(
        self,
        inputs: SupplierInputs,
        regions: Regions,
        added: AddedEmbeddings | None,
        step: StepContext,
    ) -> SemanticTargets:
        """Return the targets of fine_grained: of the semantic game, or of what regions add for each phrase."""
        features, batch, config = inputs.features, inputs.batch, self.config
        if added is None:
            phrases = phrase_embeddings(features.words, batch.phrase_tokens)
        else:
            phrases = self._phrases_alone(inputs, added.known)
        alignment = torch.einsum("bmd,bnd->bmn", regions.embeddings.float(), phrases.float())
        if added is None:
            known = torch.ones_like(regions.confidence_logits, dtype=torch.bool)
            semantic = semantic_interactions(
                alignment.detach() * config.game_scale,
                known,
                batch.phrase_mask,
                config.absent,
                generator=step.generator,
            )
        else:
            known, semantic = added.known, added.embeddings @ phrases.mT
        mask = batch.phrase_mask
        return SemanticTargets(
            alignment=alignment,
            phrases=phrases,
            phrase_mask=mask,
            by_region=row_distributions(semantic, known, mask, config.rows),
            by_phrase=row_distributions(semantic.mT, mask, known, config.rows).mT,
            known=known,
        )

    def _merged(
        self,
        added: Float[Tensor, "K D"],
        predicted: Float[Tensor, "B M D"],
        texts: Float[Tensor, "B D"],
        selection: Selection,
        known: Bool[Tensor, "B M"],
    ) -> AddedEmbeddings:
        """Return the sampled embeddings and, where `known`, UNSIL's."""
        flat = predicted.detach().flatten(0, 1).index_copy(0, selection.sampled, added)
        merged = flat.view_as(predicted).masked_fill(~known[..., None], 0)
        return AddedEmbeddings(merged, known, texts, self.config.rows)

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

    def _embedded(
        self, inputs: SupplierInputs, words: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B D"] | None, Float[Tensor, "B D"]]:
        """Return the embeddings of whole images, None where they have to be computed, and of captions."""
        batch, encoder, pooling = inputs.batch, inputs.encoder, self.config.pooling
        whole, texts = pooled_features(inputs.features, pooling, words)
        if encodes_alike(encoder, inputs.features):
            return whole, texts
        with undisturbed(encoder):
            return None, encode_phrases(encoder, batch.input_ids, batch.attention_mask, pooling).float()

    def _added(
        self,
        inputs: SupplierInputs,
        regions: Regions,
        selection: Selection,
        whole: Float[Tensor, "B D"] | None,
    ) -> tuple[Float[Tensor, "K D"], int]:
        """Return what the selected regions add to their images' embeddings, by size, and the number of forwards."""
        config, batch, encoder = self.config, inputs.batch, inputs.encoder
        if config.fill == ZERO:
            masks = regions.hard_masks.flatten(0, 1)[selection.sampled].to(batch.pixel_values.dtype)
        else:
            height, width = batch.pixel_values.shape[-2:]
            boxes = regions.boxes.detach().flatten(0, 1)[selection.sampled]
            masks = box_pixels(boxes.float(), (height, width)).to(batch.pixel_values.dtype)
        parts = ImageParts(encoder, batch.pixel_values, config.fill, config.pooling, config.chunk)
        added = added_by_regions(parts, self._rows(selection), masks, config.target, whole)
        size = masks.flatten(1).float().sum(-1) * (encoder.cells / masks[0].numel())  # in cells
        return per_size(added, size[:, None], config.size_exponent), parts.forwards

    def _rows(self, selection: Selection) -> Int[Tensor, " K"]:
        """Return the index of the pair that each selected region belongs to."""
        return torch.div(selection.sampled, self.config.regions, rounding_mode="floor")

    def _phrases_alone(self, inputs: SupplierInputs, known: Bool[Tensor, "B M"]) -> Float[Tensor, "B N D"]:
        """Return each phrase encoded as a text of its own, for pairs with a known region; zeros for other pairs."""
        rows = known.any(1).nonzero()[:, 0]
        alone = encode_alone(inputs.encoder, inputs.batch, rows, LONGEST_PHRASE, self.config.pooling)
        return alone.new_zeros(len(inputs.batch), *alone.shape[1:]).index_copy(0, rows, alone)
