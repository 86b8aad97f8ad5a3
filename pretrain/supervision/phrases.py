"""Embeddings of a caption's phrases: the mean of a phrase's word tokens, or the phrase encoded as a text of its own.

Shapes: B pairs, S of them selected, N phrases, L tokens of a caption, T tokens of a phrase, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.max_pooling import max_pooled
from pretrain.shapley.games import between_specials
from pretrain.shapley.undisturbed import undisturbed


def phrase_embeddings(
    words: Float[Tensor, "B L D"], phrase_tokens: Bool[Tensor, "B N L"]
) -> Float[Tensor, "B N D"]:
    """Return the unit-length mean of each phrase's word tokens; zeros where a slot holds no phrase."""
    weights = phrase_tokens.to(words.dtype)
    pooled = weights @ words / weights.sum(-1, keepdim=True).clamp(min=1)
    return F.normalize(pooled, dim=-1)


def encode_alone(
    encoder: DualEncoder, batch: Batch, rows: Int[Tensor, " S"], longest: int, pooling: str
) -> Float[Tensor, "S N D"]:
    """Return the unit-length embeddings of the phrases of `rows`, each encoded as a text of its own; without gradient.

    It always takes one forward pass, of as many texts as there are phrases. An empty slot gets zeros.
    """
    ids, mask = phrases_alone(
        batch.input_ids[rows], batch.attention_mask[rows], batch.phrase_tokens[rows], longest
    )
    real = batch.phrase_mask[rows].flatten().nonzero()[:, 0]
    some = real if len(real) else real.new_zeros(1)  # towers take no empty batch
    with undisturbed(encoder):
        texts = encode_phrases(encoder, ids.flatten(0, 1)[some], mask.flatten(0, 1)[some], pooling).float()
    embedded = texts.new_zeros(len(rows) * ids.shape[1], texts.shape[1])
    return embedded.index_copy(0, real, texts[: len(real)]).unflatten(0, ids.shape[:2])


def encode_phrases(
    encoder: DualEncoder, ids: Int[Tensor, "N T"], mask: Int[Tensor, "N T"], pooling: str
) -> Float[Tensor, "N D"]:
    """Return unit-length embeddings of phrases as texts: "embedding" the tower's own, "max_pooled" of their words."""
    texts, words = encoder.encode_text(ids, mask)
    return max_pooled(words, between_specials(mask)) if pooling == "max_pooled" else texts


def phrases_alone(
    input_ids: Int[Tensor, "S L"],
    attention_mask: Int[Tensor, "S L"],
    phrase_tokens: Bool[Tensor, "S N L"],
    longest: int,
) -> tuple[Int[Tensor, "S N T"], Int[Tensor, "S N T"]]:
    """Return (ids, mask) of each phrase as a text [CLS] phrase [SEP], cut or padded to T = `longest` tokens.

    An empty slot becomes [CLS] [SEP].
    """
    inner = min(longest - 2, input_ids.shape[1])
    order = torch.argsort(~phrase_tokens, dim=-1, stable=True)[..., :inner]
    words = input_ids[:, None].expand(*phrase_tokens.shape).gather(-1, order)
    length = phrase_tokens.sum(-1, keepdim=True).clamp(max=inner)
    position = torch.arange(longest, device=input_ids.device)
    ids = words.new_zeros(*phrase_tokens.shape[:2], longest)
    ids[..., 1 : inner + 1] = words
    cls, sep = input_ids[:, :1], input_ids.gather(1, attention_mask.sum(1, keepdim=True) - 1)
    ids = torch.where(position == 0, cls[:, None], ids)
    ids = torch.where(position == length + 1, sep[:, None], ids)
    mask = position <= length + 1
    return ids.masked_fill(~mask, 0), mask.to(attention_mask.dtype)
