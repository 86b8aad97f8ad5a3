"""Fine-grained supervision of one step: regions, Shapley interactions as targets, and the predictions of UNSIL.

Everything that the objectives token_semantics, fine_grained and unsil share is made here once. The number of
coalition forwards is fixed by the recipe, whatever the uncertainty: shapes are the same on every rank.

Shapes: B pairs, M regions, N phrases, C cells, L tokens, D width, K sampled regions, E evaluations each.
"""

from __future__ import annotations

import sys

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.config import SupervisionConfig
from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator, Regions
from pretrain.models.unsil import TokenUnsil
from pretrain.objectives.inputs import Features, Supervision
from pretrain.shapley.absence import embedding_lost
from pretrain.shapley.exact import semantic_interactions
from pretrain.shapley.games import TokenGame, between_specials
from pretrain.shapley.normalise import row_distributions, soft_labels
from pretrain.shapley.sampled import merged_interaction
from pretrain.shapley.targets import per_size, region_targets
from pretrain.supervision.hybrid import HybridSupervision, Selection, merge
from pretrain.supervision.phrases import encode_alone, phrase_embeddings


class FineGrainedSupervision(nn.Module):
    """Shapley targets and UNSIL (LOUPE sections 3.2 to 3.4).

    UNSIL and the rule's memory sit beside the dual encoder and leave it at export. Encoder and region generator are
    handed to `forward`, so that they are no part of this module.
    """

    def __init__(self, config: SupervisionConfig, dim: int, items: int, max_tokens: int) -> None:
        """`items`: pairs that one rank brings each step."""
        super().__init__()
        self.config, self.max_tokens = config, max_tokens
        self.token_unsil = TokenUnsil(dim, width=config.head_width, body=config.unsil_body)
        budget = items * config.regions if config.budget is None else config.budget
        # Sampling alone is a warm-up that never ends: regions drawn evenly, nothing predicted.
        warmup = config.warmup_steps if config.mode == "hybrid" else sys.maxsize
        evaluations = 2 if config.target == "absence" else config.evaluations
        self.hybrid = HybridSupervision(budget, evaluations, warmup_steps=warmup)

    def forward(
        self, encoder: DualEncoder, region_generator: RegionGenerator, features: Features, batch: Batch
    ) -> Supervision:
        """Regions, targets and predictions for this rank's pairs. Draws follow torch's initial seed of the step."""
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        config = self.config
        regions = region_generator(features.patches)
        real = torch.ones_like(regions.confidence_logits, dtype=torch.bool)
        words = between_specials(batch.attention_mask)
        prediction = self.token_unsil(
            regions.embeddings, regions.boxes, real, features.patches, features.words, words
        )
        selection = self.hybrid.select(prediction.uncertainty, generator)
        values, lost = self._sample(encoder, batch, regions, selection, generator)
        self.hybrid.observe(selection, prediction.interaction, values)
        targets, supervised, sampled = merge(selection, prediction.interaction, values)
        self.token_unsil.scale.update(values, selection.sampled_real)

        if lost is None:
            phrases = phrase_embeddings(features.words, batch.phrase_tokens)
        else:
            phrases = self._phrases_alone(encoder, batch, selection)
        alignment = torch.einsum("bmd,bnd->bmn", regions.embeddings.float(), phrases.float())
        if lost is None:
            known = real
            semantic = semantic_interactions(
                alignment.detach() * config.game_scale,
                real,
                batch.phrase_mask,
                config.absent,
                generator=generator,
            )
        else:
            known, semantic = sampled, self._lost_by_phrases(lost, phrases, selection)
        columns = row_distributions(semantic.mT, batch.phrase_mask, known, config.rows).mT
        return Supervision(
            regions=regions,
            token_labels=soft_labels(targets, supervised, config.labels),
            supervised=supervised,
            prediction=prediction,
            token_targets=targets / self.token_unsil.scale(),
            sampled=sampled,
            alignment=alignment,
            phrases=phrases,
            phrase_mask=batch.phrase_mask,
            semantic_targets=row_distributions(semantic, known, batch.phrase_mask, config.rows),
            phrase_targets=columns,
            known=known,
            metrics={
                f"supervision_{name}": value
                for name, value in self.hybrid.metrics(selection, len(batch)).items()
            },
        )

    def _sample(
        self,
        encoder: DualEncoder,
        batch: Batch,
        regions: Regions,
        selection: Selection,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, " K"], Float[Tensor, "K D"] | None]:
        """Token-game targets of the selected regions, each among the other cells (and words) of its own pair.

        With target absence also what each image's embedding loses with the region; else None.
        """
        config, row = self.config, self._rows(selection)
        # Captions as long as the limit on every rank: the number of text forwards must not depend on the batch.
        spare = self.max_tokens - batch.input_ids.shape[1]
        game = TokenGame(
            encoder,
            batch.pixel_values[row],
            F.pad(batch.input_ids[row], (0, spare)),
            F.pad(batch.attention_mask[row], (0, spare)),
            context=config.context,
            chunk=config.chunk,
        )
        cells = regions.hard_masks.flatten(0, 1)[selection.sampled]
        if config.target == "absence":
            lost = embedding_lost(game, cells[:, None])[:, 0]
            found = (lost * game.whole_text()).sum(-1)
            return per_size(found[:, None], cells.sum(-1, keepdim=True), config.size_exponent)[:, 0], lost
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
        return values[:, 0].float(), None

    def _rows(self, selection: Selection) -> Int[Tensor, " K"]:
        """The pair of each selected region."""
        return torch.div(selection.sampled, self.config.regions, rounding_mode="floor")

    def _phrases_alone(
        self, encoder: DualEncoder, batch: Batch, selection: Selection
    ) -> Float[Tensor, "B N D"]:
        """Each phrase as a text of its own, of pairs with a selected region; zeros for the others."""
        rows = self._rows(selection).unique()
        alone = encode_alone(encoder, batch, rows).float()
        return alone.new_zeros(len(batch), *alone.shape[1:]).index_copy(0, rows, alone)

    def _lost_by_phrases(
        self, lost: Float[Tensor, "K D"], phrases: Float[Tensor, "B N D"], selection: Selection
    ) -> Float[Tensor, "B M N"]:
        """What each selected region's absence takes from each phrase of its pair; zeros for the others."""
        found = (phrases[self._rows(selection)] @ lost[..., None])[..., 0]
        every = found.new_zeros(len(phrases) * self.config.regions, found.shape[1])
        return every.index_copy(0, selection.sampled, found).unflatten(0, (len(phrases), -1))


def build_region_generator(config: SupervisionConfig, dim: int, grid: tuple[int, int]) -> RegionGenerator:
    """The region generator that a recipe describes."""
    return RegionGenerator(
        dim, grid, config.regions, width=config.head_width, suppress_above=config.suppress_above
    )
