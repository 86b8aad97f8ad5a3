"""Fine-grained supervision of one step: regions, Shapley interactions as targets, and the predictions of UNSIL.

Everything that the objectives token_semantics, fine_grained and unsil share is made here once. The number of
coalition forwards is fixed by the recipe, whatever the uncertainty: shapes are the same on every rank.

Shapes: B pairs, M regions, N phrases, C cells, L tokens, D width, K sampled regions, E evaluations each.
"""

from __future__ import annotations

import sys

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.config import SupervisionConfig
from pretrain.data.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator, Regions
from pretrain.models.unsil import TokenUnsil
from pretrain.objectives.features import Features, Supervision
from pretrain.shapley.absence import absence
from pretrain.shapley.exact import semantic_interactions
from pretrain.shapley.games import TokenGame, between_specials
from pretrain.shapley.hybrid import HybridSupervision, Selection, merge
from pretrain.shapley.normalise import row_distributions, soft_labels
from pretrain.shapley.sampled import merged_interaction
from pretrain.shapley.targets import per_size, region_targets


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
        self.hybrid = HybridSupervision(budget, config.evaluations, warmup_steps=warmup)

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
        values = self._sample(encoder, batch, regions, selection, generator)
        self.hybrid.observe(selection, prediction.interaction, values)
        targets, supervised, sampled = merge(selection, prediction.interaction, values)
        self.token_unsil.scale.update(values, selection.sampled_real)

        phrases = phrase_embeddings(features.words, batch.phrase_tokens)
        alignment = torch.einsum("bmd,bnd->bmn", regions.embeddings.float(), phrases.float())
        semantic = semantic_interactions(
            alignment.detach() * config.game_scale,
            real,
            batch.phrase_mask,
            config.absent,
            generator=generator,
        )
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
            semantic_targets=row_distributions(semantic, real, batch.phrase_mask, config.rows),
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
    ) -> Float[Tensor, " K"]:
        """Token-game targets of the selected regions, each among the other cells (and words) of its own pair."""
        config, count = self.config, regions.confidence_logits.shape[1]
        row = torch.div(selection.sampled, count, rounding_mode="floor")
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
        players = F.pad(cells, (0, game.player_mask.shape[1] - cells.shape[1]))[:, None]
        if config.target == "absence":
            found = absence(game, players, game.player_mask)
            return per_size(found, players.sum(-1), config.size_exponent)[:, 0].float()
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


def build_region_generator(config: SupervisionConfig, dim: int, grid: tuple[int, int]) -> RegionGenerator:
    """The region generator that a recipe describes."""
    return RegionGenerator(
        dim, grid, config.regions, width=config.head_width, suppress_above=config.suppress_above
    )


def phrase_embeddings(
    words: Float[Tensor, "B L D"], phrase_tokens: Bool[Tensor, "B N L"]
) -> Float[Tensor, "B N D"]:
    """Unit-length mean of each phrase's word tokens; zero where a slot holds no phrase."""
    weights = phrase_tokens.to(words.dtype)
    pooled = weights @ words / weights.sum(-1, keepdim=True).clamp(min=1)
    return F.normalize(pooled, dim=-1)
