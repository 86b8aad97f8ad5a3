"""How the parts of an image and the phrases of its caption belong together, as the model sees it (LOUPE section 3.3).

Shapes: M regions, N phrases, W words, C cells, L tokens of the caption, D width.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.phrase_tokens import align_phrases
from pretrain.evaluation.data.phrase_objects import Described, Phrase, content_words
from pretrain.evaluation.localisation.attribution_maps import attribution_maps
from pretrain.evaluation.localisation.proposals import ProposalOptions, Proposer
from pretrain.evaluation.metrics.boxes import in_pixels
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import WordTokens, word_tokens
from pretrain.regions.soft_mask import hard_mask, pool, soft_mask
from pretrain.shapley.exact import semantic_interactions
from pretrain.shapley.games import TokenGame
from pretrain.shapley.sampled import MergedEstimate, merged_interaction
from pretrain.supervision.phrases import phrase_embeddings


@dataclass(frozen=True)
class AlignmentSettings:
    """What the recipe says of the alignment; by default the paper's."""

    scale: float = 1.0  # inverse temperature of the row-softmax
    game_scale: float = 1.0  # factor of the alignment inside the semantic game
    absent: str = "zero"  # how an absent player leaves that game
    context: str = "players"  # whether words play in the token game


@dataclass(frozen=True)
class Aligned:
    """One sample. Boxes are (centre x, centre y, width, height), fractions of the image."""

    phrases: tuple[Phrase, ...]
    boxes: Float[Tensor, "M 4"]
    confidence: Float[Tensor, " M"]
    alignment: Float[Tensor, "M N"]
    """Inner products of region and phrase, as L_FSA sees them."""
    phrase_maps: Float[np.ndarray, "N C"]
    """Cosine of each patch token with each phrase: FILIP's map, of a phrase in its caption."""
    attributions: Float[np.ndarray, "N C"]
    """Shapley value of each cell for the cosine of the image with each phrase by itself."""

    def boxes_in(self, described: Described) -> Float[np.ndarray, "M 4"]:
        """Boxes (left, top, width, height) in px of the image."""
        return in_pixels(self.boxes, described.image.size)


def settings_of(export: str, temperature: float) -> AlignmentSettings:
    """The settings of the run that was exported.

    A model that was not trained with L_FSA compares at the temperature of what it was trained with: that of
    phrase_attribution, or the contrastive one (`temperature`).
    """
    file = Path(export) / "export.json"
    config: dict[str, Any] = json.loads(file.read_bytes()).get("config", {}) if file.is_file() else {}
    objectives = config.get("objectives", {})
    if "fine_grained" in objectives:
        own, scale = config.get("supervision", {}), objectives["fine_grained"].get("scale", 1.0)
    elif "phrase_attribution" in objectives:
        own, scale = {}, 1 / objectives["phrase_attribution"].get("temperature", 0.1)
    else:
        own, scale = {}, 1 / temperature
    given = {name: own[name] for name in ("game_scale", "absent", "context") if name in own}
    return AlignmentSettings(scale=float(scale), **given)


def align(
    encoder: TokenEncoder, proposer: Proposer, described: Described, options: ProposalOptions
) -> Aligned | None:
    """Regions, phrases and what they have in common; None when the cut of the caption leaves no phrase."""
    words = word_tokens(encoder, [described.caption])
    phrases, pooled = _pooled(words, described.phrases)
    if not phrases:
        return None
    pixels = encoder.pixels([described.image])
    patches = encoder.patches(pixels)
    alone = encoder.texts([phrase.text for phrase in phrases])
    found = proposer(encoder, pixels, alone, options, 1)
    boxes, confidence = found.boxes[found.real][: options.regions], found.confidence[found.real]
    regions = pool(patches, soft_mask(boxes[None].float(), encoder.grid))[0]
    attributions = attribution_maps(
        encoder, pixels, alone, evaluations=options.evaluations, ridge=options.ridge, chunk=options.chunk
    )
    return Aligned(
        phrases=phrases,
        boxes=boxes.cpu(),
        confidence=confidence[: len(boxes)].cpu(),
        alignment=(regions @ pooled.T).cpu(),
        phrase_maps=(pooled @ patches[0].T).cpu().numpy(),
        attributions=attributions.cpu().numpy(),
    )


def semantic(aligned: Aligned, settings: AlignmentSettings) -> Float[Tensor, "M N"]:
    """Semantic Shapley interaction of every pair of region and phrase: exact up to 12 of either."""
    generator = torch.Generator().manual_seed(0)
    return semantic_interactions(
        aligned.alignment[None] * settings.game_scale, absent=settings.absent, generator=generator
    )[0]


def token_interactions(
    encoder: TokenEncoder,
    described: Described,
    aligned: Aligned,
    settings: AlignmentSettings,
    budget: int,
    chunk: int,
) -> MergedEstimate:
    """I([R]) and φ([R]) of each region among the other cells (and words), from `budget` coalitions each; [1, M]."""
    words = word_tokens(encoder, [described.caption])
    pixels = encoder.pixels([described.image])
    played = TokenGame(
        encoder.dual, pixels, words.input_ids, words.attention_mask, context=settings.context, chunk=chunk
    )
    cells = hard_mask(aligned.boxes.to(encoder.device), encoder.grid)[None]
    players = F.pad(cells, (0, played.player_mask.shape[1] - cells.shape[2]))
    generator = torch.Generator().manual_seed(0)
    return merged_interaction(played, players, played.player_mask, budget, generator)


@dataclass(frozen=True)
class WordMaps:
    """FILIP's figure: `maps` are cosines of each patch token with each content word."""

    texts: list[str]
    maps: Float[np.ndarray, "W C"]
    best: Int[np.ndarray, " C"]
    """The word that each patch is most similar to, of all words of the caption; -1: none of `texts`."""


def word_maps(encoder: TokenEncoder, described: Described, most: int) -> WordMaps:
    """Maps of the caption's first `most` content words that the text tower still reads."""
    words = word_tokens(encoder, [described.caption])
    patches = encoder.patches(encoder.pixels([described.image]))[0]
    spans = [Phrase(described.caption[slice(*s)], s) for s in content_words(described.caption, most)]
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
    """The phrases that the cut of the caption leaves whole, and the mean of their word tokens, unit length."""
    if not phrases:
        return (), words.tokens.new_zeros(0, words.tokens.shape[2])
    found = align_phrases(words.offsets, [[phrase.span for phrase in phrases]], len(phrases))
    kept = found.mask[0]
    pooled = phrase_embeddings(words.tokens, found.tokens.to(words.tokens.device))[0]
    return tuple(phrases[place] for place in found.source[0][kept].tolist()), pooled[kept.to(pooled.device)]
