"""Word tokens of captions, each in the context of its own caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.shapley.games import between_specials


class WordTokens(NamedTuple):
    """Tokens of T captions, at most L each. `input_ids` and `attention_mask` are the inputs of the text tower."""

    tokens: Float[Tensor, "T L D"]
    """Unit length, fp32, on the encoder's device; values where `mask` is False are to be ignored."""
    mask: Bool[Tensor, "T L"]
    """True for words; False for [CLS], [SEP] and padding, as in FILIP's loss and the token game."""
    offsets: Int[Tensor, "T L 2"]
    """Characters (start, end) of the caption; (0, 0) where there is no word. On the CPU."""
    input_ids: Int[Tensor, "T L"]
    attention_mask: Int[Tensor, "T L"]


@torch.no_grad()
def word_tokens(encoder: TokenEncoder, captions: Sequence[str]) -> WordTokens:
    """Word tokens of captions, which are cut at the text tower's limit."""
    read = encoder.tokenizer(
        list(captions),
        padding=True,
        truncation=True,
        max_length=encoder.max_tokens,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    ids, attended = (read[name].to(encoder.device) for name in ("input_ids", "attention_mask"))
    tokens = encoder.dual.encode_text(ids, attended)[1].float()
    return WordTokens(tokens, between_specials(attended), read["offset_mapping"], ids, attended)
