"""Late interaction: InfoNCE over token-wise maximum similarities (FILIP, arXiv 2111.07783, eq. 3-7)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.matching import partner_rows, symmetric_cross_entropy
from pretrain.objectives.shared.token_similarity import best_match, token_similarity
from pretrain.ranks import gather_with_gradient, longest_of_all_ranks, world
from pretrain.shapley.games import between_specials


class LateInteractionOptions(ObjectiveOptions):
    """Which tokens are compared, and in which number type they are sent between ranks."""

    token_share: float = Field(
        1.0, gt=0, le=1, description="share of each item's tokens that are compared and sent; FILIP: 0.25"
    )
    wire: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="number type in which tokens are sent between ranks"
    )
    chunk_elements: int | None = Field(
        None,
        ge=1,
        description="largest block of token similarities, elements; null: by the device",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )


def late_interaction_loss(
    patches: Float[Tensor, "B P D"],
    words: Float[Tensor, "B L D"],
    word_mask: Bool[Tensor, "B L"],
    logit_scale: Float[Tensor, "1"],
    *,
    token_share: float,
    wire_dtype: torch.dtype | None,
    chunk_elements: int | None,
) -> dict[str, Tensor]:
    """Return the mean of both FILIP cross-entropies of this rank's pairs against the texts and images of all ranks.

    s_image(i, j) = mean over patches of image i of the best real word of text j  → softmax over texts j;
    s_text(i, j)  = mean over real words of text j of the best patch of image i   → softmax over images i.
    These are two different matrices: each has its own softmax, over the axis named above.

    `patches` and `words` are unit length. `word_mask` is True at the words that count: the caller leaves out [CLS],
    [SEP] and padding. Every rank must pass the same B, P and L. `logit_scale` is the logarithm of the inverse
    temperature. With `token_share` below 1 only that share of each item's tokens is compared and sent: those whose best
    match over this rank's batch is highest (FILIP section 3.1 takes 0.25). `wire_dtype` (fp16, bf16) is the type in
    which tokens are sent between ranks; None sends them as they are. `chunk_elements` bounds the block of token
    similarities that exists at once (None: by the device). Returns `late_interaction_loss` and the metric
    `late_interaction_accuracy` (share of rows whose own partner scores highest, mean of both directions).
    """
    word_mask = word_mask.bool()
    patch_mask = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
    if token_share < 1.0:
        scores = best_match(patches, words, word_mask), best_match(words, patches, patch_mask)
        patches, patch_mask = keep_best(patches, patch_mask, scores[0], token_share)
        words, word_mask = keep_best(words, word_mask, scores[1], token_share)

    _, ranks = world()
    scale = logit_scale.float().exp()
    if ranks == 1 and wire_dtype is None:
        s_image, s_text = token_similarity(
            patches, words, patch_mask, word_mask, chunk_elements=chunk_elements
        )
    else:
        all_patches, all_words = _gather_rounded(patches, wire_dtype), _gather_rounded(words, wire_dtype)
        all_patch_mask = gather_with_gradient(patch_mask.to(torch.uint8)).bool()
        all_word_mask = gather_with_gradient(word_mask.to(torch.uint8)).bool()
        s_image, _ = token_similarity(
            patches, all_words, patch_mask, all_word_mask, direction="image", chunk_elements=chunk_elements
        )
        _, s_text = token_similarity(
            all_patches, words, all_patch_mask, word_mask, direction="text", chunk_elements=chunk_elements
        )
    per_image, per_text = scale * s_image, scale * s_text.T
    loss, accuracy = symmetric_cross_entropy(per_image, per_text, partner_rows(patches))
    return {"late_interaction_loss": loss, "late_interaction_accuracy": accuracy}


def keep_best(
    tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"], scores: Float[Tensor, "B N"], share: float
) -> tuple[Float[Tensor, "B K D"], Bool[Tensor, "B K"]]:
    """Return the K = ceil(share × N) tokens of highest score per item, and their mask.

    Of an item with n real tokens, ceil(share × n) are True in the mask.
    """
    count = max(1, math.ceil(share * tokens.shape[1]))
    best = scores.masked_fill(~mask, -math.inf).topk(count, dim=1).indices
    limits = (mask.sum(1, keepdim=True) * share - 1e-6).ceil()
    kept = mask.gather(1, best) & (torch.arange(count, device=mask.device) < limits)
    return tokens.gather(1, best.unsqueeze(-1).expand(-1, -1, tokens.shape[2])), kept


def _gather_rounded(tokens: Tensor, wire_dtype: torch.dtype | None) -> Tensor:
    """Gather the tokens of all ranks, sent as `wire_dtype`; their gradients are sent back in it too."""
    return gather_with_gradient(tokens if wire_dtype is None else tokens.to(wire_dtype)).to(tokens.dtype)


def _loss(inputs: ObjectiveInputs, options: LateInteractionOptions) -> dict[str, Tensor]:
    features = inputs.features
    # Each rank pads its captions to its own longest one; gathered tensors must have the same length on all ranks.
    length = features.words.shape[1]
    spare = longest_of_all_ranks(length, features.words) - length
    words = F.pad(features.words, (0, 0, 0, spare))
    word_mask = F.pad(between_specials(features.attention_mask), (0, spare))
    wire = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[options.wire]
    return late_interaction_loss(
        features.patches,
        words,
        word_mask,
        inputs.logit_scale,
        token_share=options.token_share,
        wire_dtype=wire,
        chunk_elements=options.chunk_elements,
    )


LATE_INTERACTION = Objective(_loss, LateInteractionOptions)
