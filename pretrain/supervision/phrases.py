"""What stands for a phrase of a caption: the mean of its word tokens, or the text that it is by itself.

Shapes: B pairs, S of them looked at, N phrases, L tokens of a caption, T of a phrase, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.shapley.undisturbed import undisturbed

LONGEST = 12  # tokens of a phrase by itself, with [CLS] and [SEP]


def phrase_embeddings(
    words: Float[Tensor, "B L D"], phrase_tokens: Bool[Tensor, "B N L"]
) -> Float[Tensor, "B N D"]:
    """Unit-length mean of each phrase's word tokens; zero where a slot holds no phrase."""
    weights = phrase_tokens.to(words.dtype)
    pooled = weights @ words / weights.sum(-1, keepdim=True).clamp(min=1)
    return F.normalize(pooled, dim=-1)


def encode_alone(
    encoder: DualEncoder, batch: Batch, rows: Int[Tensor, " S"], longest: int = LONGEST
) -> Float[Tensor, "S N D"]:
    """Unit-length embeddings of the phrases of these pairs, each a text of its own; without gradient.

    One forward pass whatever the pairs are. An empty slot is the embedding of an empty text.
    """
    ids, mask = phrases_alone(
        batch.input_ids[rows], batch.attention_mask[rows], batch.phrase_tokens[rows], longest
    )
    with undisturbed(encoder):
        texts, _ = encoder.encode_text(ids.flatten(0, 1), mask.flatten(0, 1))
    return texts.unflatten(0, ids.shape[:2])


def phrases_alone(
    input_ids: Int[Tensor, "S L"],
    attention_mask: Int[Tensor, "S L"],
    phrase_tokens: Bool[Tensor, "S N L"],
    longest: int,
) -> tuple[Int[Tensor, "S N T"], Int[Tensor, "S N T"]]:
    """Each phrase as a text of its own, [CLS] phrase [SEP], cut or padded to T = `longest` tokens: (ids, mask).

    An empty slot is [CLS] [SEP].
    """
    inner = min(longest - 2, input_ids.shape[1])
    order = torch.argsort(~phrase_tokens, dim=-1, stable=True)[..., :inner]
    words = input_ids[:, None].expand(*phrase_tokens.shape).gather(-1, order)
    length = phrase_tokens.sum(-1, keepdim=True).clamp(max=inner)
    number = torch.arange(longest, device=input_ids.device)
    ids = words.new_zeros(*phrase_tokens.shape[:2], longest)
    ids[..., 1 : inner + 1] = words
    first, last = input_ids[:, :1], input_ids.gather(1, attention_mask.sum(1, keepdim=True) - 1)
    ids = torch.where(number == 0, first[:, None], ids)
    ids = torch.where(number == length + 1, last[:, None], ids)
    mask = number <= length + 1
    return ids.masked_fill(~mask, 0), mask.to(attention_mask.dtype)
