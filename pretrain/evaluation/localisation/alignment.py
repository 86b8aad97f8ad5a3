"""How well the model aligns regions of an image with phrases of its caption (LOUPE section 3.3).

Shapes: M regions, N phrases, W words, C cells, L tokens of the caption, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.phrase_tokens import align_phrases
from pretrain.evaluation.data.phrase_objects import CaptionedImage, Phrase, content_words
from pretrain.evaluation.localisation.attribution_maps import attribution_maps
from pretrain.evaluation.localisation.candidates import Proposer
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.metrics.boxes import in_pixels
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import WordTokens, word_tokens
from pretrain.export.record import objective_options, read_record
from pretrain.regions.soft_mask import hard_mask, pool, soft_mask
from pretrain.shapley.exact import semantic_interactions
from pretrain.shapley.games import TokenGame
from pretrain.shapley.sampled import MergedEstimate, merged_interaction
from pretrain.supervision.phrases import phrase_embeddings


@dataclass(frozen=True)
class AlignmentSettings:
    """The recipe's settings of the alignment; the defaults are the paper's."""

    scale: float = 1.0  # inverse temperature of the row-softmax
    game_scale: float = 1.0  # factor of the alignment inside the semantic game
    absent: str = "zero"  # what an absent player is replaced by in that game
    context: str = "players"  # "players": words play in the token game; "full_text": the text stays whole


@dataclass(frozen=True)
class RegionAlignment:
    """Regions and phrases of one sample. Boxes are (centre x, centre y, width, height), fractions of the image."""

    phrases: tuple[Phrase, ...]
    boxes: Float[Tensor, "M 4"]
    confidence: Float[Tensor, " M"]
    alignment: Float[Tensor, "M N"]
    """Inner products of region and phrase, computed as for L_FSA."""
    phrase_maps: Float[np.ndarray, "N C"]
    """Cosine of each patch token with each phrase in the context of its caption: FILIP's map."""
    attributions: Float[np.ndarray, "N C"]
    """Shapley value of each cell for the cosine of the image with each phrase alone."""

    def boxes_in(self, sample: CaptionedImage) -> Float[np.ndarray, "M 4"]:
        """Boxes (left, top, width, height) in px of the image."""
        return in_pixels(self.boxes, sample.image.size)


def settings_of(export: str, temperature: float) -> AlignmentSettings:
    """The settings of the run that was exported, from the export's record.

    A model that was not trained with L_FSA compares at the temperature that it was trained with: that of
    phrase_attribution, or the contrastive one (`temperature`).
    """
    config = read_record(export).get("config", {})
    objectives = config.get("objectives", {})
    if "fine_grained" in objectives:
        supervision = config.get("supervision", {})
        recorded = {
            name: supervision[name] for name in ("game_scale", "absent", "context") if name in supervision
        }
        scale = objective_options(config, "fine_grained")["scale"]
        return AlignmentSettings(scale=float(scale), **recorded)
    if "phrase_attribution" in objectives:
        temperature = objective_options(config, "phrase_attribution")["temperature"]
    return AlignmentSettings(scale=float(1 / temperature))


def align(
    encoder: TokenEncoder, proposer: Proposer, sample: CaptionedImage, options: ProposalOptions
) -> RegionAlignment | None:
    """Regions, phrases and their inner products; None when the text tower's token limit leaves no phrase."""
    words = word_tokens(encoder, [sample.caption])
    phrases, pooled = _pooled(words, sample.phrases)
    if not phrases:
        return None
    pixels = encoder.pixels([sample.image])
    patches = encoder.patches(pixels)
    alone = encoder.texts([phrase.text for phrase in phrases])
    candidates = proposer(encoder, pixels, alone, options, 1)
    boxes = candidates.boxes[candidates.real][: options.regions]
    confidence = candidates.confidence[candidates.real]
    regions = pool(patches, soft_mask(boxes[None].float(), encoder.grid))[0]
    attributions = attribution_maps(
        encoder, pixels, alone, evaluations=options.evaluations, ridge=options.ridge, chunk=options.chunk
    )
    return RegionAlignment(
        phrases=phrases,
        boxes=boxes.cpu(),
        confidence=confidence[: len(boxes)].cpu(),
        alignment=(regions @ pooled.T).cpu(),
        phrase_maps=(pooled @ patches[0].T).cpu().numpy(),
        attributions=attributions.cpu().numpy(),
    )


def semantic_pairs(aligned: RegionAlignment, settings: AlignmentSettings) -> Float[Tensor, "M N"]:
    """Semantic Shapley interaction of every pair of region and phrase; exact up to 12 regions and 12 phrases."""
    generator = torch.Generator().manual_seed(0)
    return semantic_interactions(
        aligned.alignment[None] * settings.game_scale, absent=settings.absent, generator=generator
    )[0]


def token_interactions(
    encoder: TokenEncoder,
    sample: CaptionedImage,
    aligned: RegionAlignment,
    settings: AlignmentSettings,
    budget: int,
    chunk: int,
) -> MergedEstimate:
    """I([R]) and φ([R]) of each region among the other cells (and words), from `budget` coalitions each; [1, M]."""
    words = word_tokens(encoder, [sample.caption])
    pixels = encoder.pixels([sample.image])
    game = TokenGame(
        encoder.dual, pixels, words.input_ids, words.attention_mask, context=settings.context, chunk=chunk
    )
    cells = hard_mask(aligned.boxes.to(encoder.device), encoder.grid)[None]
    players = F.pad(cells, (0, game.player_mask.shape[1] - cells.shape[2]))
    generator = torch.Generator().manual_seed(0)
    return merged_interaction(game, players, game.player_mask, budget, generator)


@dataclass(frozen=True)
class WordMaps:
    """Cosines of each patch token with each content word (`maps`), as in FILIP's figure."""

    texts: list[str]
    maps: Float[np.ndarray, "W C"]
    best: Int[np.ndarray, " C"]
    """Number in `texts` of the word that each patch is most similar to, of all words of the caption; -1: none."""


def word_maps(encoder: TokenEncoder, sample: CaptionedImage, most: int) -> WordMaps:
    """Maps of the caption's first `most` content words that lie within the text tower's token limit."""
    words = word_tokens(encoder, [sample.caption])
    patches = encoder.patches(encoder.pixels([sample.image]))[0]
    spans = [Phrase(sample.caption[slice(*span)], span) for span in content_words(sample.caption, most)]
    kept, pooled = _pooled(words, tuple(spans))
    real = words.mask[0]
    nearest = (patches @ words.tokens[0, real].T).argmax(1).cpu()
    start = words.offsets[0, real.cpu()][nearest][:, 0].numpy()
    best = np.full(len(start), -1)
    for place, word in enumerate(kept):
        best[(start >= word.span[0]) & (start < word.span[1])] = place
    return WordMaps([word.text for word in kept], (pooled @ patches.T).cpu().numpy(), best)


def _pooled(
    words: WordTokens, phrases: tuple[Phrase, ...]
) -> tuple[tuple[Phrase, ...], Float[Tensor, "N D"]]:
    """The phrases that lie whole within the token limit, and the unit-length mean of the word tokens of each."""
    if not phrases:
        return (), words.tokens.new_zeros(0, words.tokens.shape[2])
    spans = align_phrases(words.offsets, [[phrase.span for phrase in phrases]], len(phrases))
    kept = spans.mask[0]
    pooled = phrase_embeddings(words.tokens, spans.tokens.to(words.tokens.device))[0]
    return tuple(phrases[place] for place in spans.source[0][kept].tolist()), pooled[kept.to(pooled.device)]
