"""Image-text matching: is this the caption of this image? With hard negatives drawn by the contrastive similarities.

BLIP (Li et al. 2022, arXiv:2201.12086, section 3.2; ALBEF, arXiv:2107.07651, section 3.2). Each pair is judged as it
is, once with a caption of another pair and once with an image of another pair, each drawn from the softmax of the
similarities to the whole global batch.

Shapes: B pairs of this rank, G pairs of all ranks, N image tokens of width D, L text tokens, E values of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from data_filters.matching import MATCH
from pretrain.objectives.objective import ObjectiveOptions
from pretrain.objectives.shared.keyed_noise import keyed_gumbel
from pretrain.ranks import gather_with_gradient, longest_of_all_ranks

Judge = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(image tokens [R, N, D], input_ids [R, L], attention_mask [R, L]) → logits [R, 2]; class MATCH is a match."""
NOTHING = torch.finfo(torch.float64).min


class MatchingOptions(ObjectiveOptions):
    """Options of the objective `itm`."""

    temperature: float | None = Field(
        None,
        gt=0,
        description="of the softmax that negatives are drawn from; null: that of ITC, as in BLIP; higher: easier ones",
    )


@dataclass(frozen=True)
class Candidates:
    """What pairs of one rank or of all are drawn by: embeddings of norm 1, captions, and keys as 64-bit hashes."""

    images: Float[Tensor, "B E"]
    texts: Float[Tensor, "B E"]
    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    key_hashes: Int[Tensor, " B"]
    image_hashes: Int[Tensor, " B"]


@dataclass(frozen=True)
class Drawn:
    """Rows of the global batch: for each image of this rank a caption, for each caption an image; -1: there is none."""

    captions: Int[Tensor, " B"]
    images: Int[Tensor, " B"]


def gathered(own: Candidates) -> Candidates:
    """The candidates of all ranks in rank order, without gradients. Captions are filled up to one length."""
    length = own.input_ids.shape[1]
    spare = longest_of_all_ranks(length, own.images) - length
    ids, mask = (F.pad(tensor, (0, spare)) for tensor in (own.input_ids, own.attention_mask))
    parts = (own.images.detach(), own.texts.detach(), ids, mask, own.key_hashes, own.image_hashes)
    with torch.no_grad():
        return Candidates(*(gather_with_gradient(part) for part in parts))


def same_pairs(own: Candidates, everyone: Candidates) -> Bool[Tensor, "B G"]:
    """Whether a row of the global batch has the same caption or the same image as a row of this rank.

    The pair itself is among them. Captions are compared by their tokens.
    """
    spare = everyone.input_ids.shape[1] - own.input_ids.shape[1]
    ids, mask = F.pad(own.input_ids, (0, spare)), F.pad(own.attention_mask, (0, spare))
    # Tokens at padding are of no caption: other tokenizers may fill up with others.
    left, right = (
        ids.masked_fill(mask == 0, -1),
        everyone.input_ids.masked_fill(everyone.attention_mask == 0, -1),
    )
    same_caption = (left[:, None] == right[None]).all(-1)
    same_image = own.image_hashes[:, None] == everyone.image_hashes[None]
    return same_caption | same_image


def draw_negatives(own: Candidates, everyone: Candidates, scale: Float[Tensor, "1"], seed: int) -> Drawn:
    """Draw a caption for each image and an image for each caption, from the softmax of the scaled similarities.

    Never the pair itself, nor one with the same caption or image. `scale` is the inverse temperature. `seed` is that of
    the step, equal on all ranks: a draw is a function of it and of the pairs' keys, so that it does not depend on the
    number of ranks.
    """
    barred = same_pairs(own, everyone).cpu()
    noise = keyed_gumbel(seed, own.key_hashes, everyone.key_hashes)
    other = keyed_gumbel(seed + 1, own.key_hashes, everyone.key_hashes)
    factor = scale.detach().double().cpu()
    own_images, own_texts = own.images.detach().double().cpu(), own.texts.detach().double().cpu()
    all_images, all_texts = everyone.images.double().cpu(), everyone.texts.double().cpu()
    nobody = barred.all(1)
    drawn = [
        (factor * similarities + gumbel).masked_fill(barred, NOTHING).argmax(1).masked_fill(nobody, -1)
        for similarities, gumbel in ((own_images @ all_texts.T, noise), (own_texts @ all_images.T, other))
    ]
    return Drawn(*(rows.to(own.images.device) for rows in drawn))


def matching_loss(
    judge: Judge,
    tokens: Float[Tensor, "B N D"],
    own: Candidates,
    scale: Float[Tensor, "1"],
    seed: int,
) -> dict[str, Tensor]:
    """Return the cross-entropy of the judge's answers on this rank's pairs and its two kinds of negatives.

    The mean over 3 B judgements, of which those without a negative (a batch of one caption) count 0; `judge` is called
    once, with 3 B rows, on every rank. Image tokens of other ranks receive gradients. Averaged over ranks, loss and
    gradients are those of the whole batch. Returns `itm_loss` and the metrics `itm_accuracy` and `itm_negatives` (the
    share of the rows that have one).
    """
    everyone = gathered(own)
    drawn = draw_negatives(own, everyone, scale, seed)
    all_tokens = gather_with_gradient(tokens)
    there = [rows >= 0 for rows in (drawn.captions, drawn.images)]
    captions, images = (rows.clamp(min=0) for rows in (drawn.captions, drawn.images))
    width = everyone.input_ids.shape[1]
    ids = F.pad(own.input_ids, (0, width - own.input_ids.shape[1]))
    mask = F.pad(own.attention_mask, (0, width - own.attention_mask.shape[1]))
    logits = judge(
        torch.cat([tokens, tokens, all_tokens[images]]),
        torch.cat([ids, everyone.input_ids[captions], ids]),
        torch.cat([mask, everyone.attention_mask[captions], mask]),
    ).float()
    count = len(tokens)
    classes = torch.full((3 * count,), 1 - MATCH, device=logits.device)
    classes[:count] = MATCH
    weights = torch.cat([torch.ones_like(there[0]), *there]).to(logits.dtype)
    losses = F.cross_entropy(logits, classes, reduction="none") * weights
    right = (logits.detach().argmax(1) == classes) * weights
    return {
        "itm_loss": losses.mean(),
        "itm_accuracy": right.sum() / weights.sum(),
        "itm_negatives": weights[count:].mean(),
    }
