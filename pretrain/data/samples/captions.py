"""Captions → token ids, without the detour through Python lists of every field."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast


class Tokens(NamedTuple):
    """B captions of at most L tokens; `offsets` are characters (start, end), (0, 0) where there is no word."""

    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    offsets: Int[Tensor, "B L 2"]


class CaptionEncoder:
    """The same ids as `tokenizer(captions, padding=True, truncation=True, max_length=max_tokens)`.

    The fast tokenizer's own engine is asked directly: transformers' wrapper costs more than the tokenising, since it
    builds and flattens lists of every field of every caption. Padding is on the right, as BERT's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
        self.pad = int(tokenizer.pad_token_id)
        # A copy: transformers sets truncation and padding on its own engine at every call.
        self.engine = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.engine.no_padding()
        self.engine.enable_truncation(max_tokens)

    def __call__(self, captions: list[str], offsets_of: Collection[int] = ()) -> Tokens:
        """Tokens of the captions; offsets only of the rows in `offsets_of`, (0, 0) elsewhere."""
        found = self.engine.encode_batch(captions)
        length = max(len(one) for one in found)
        ids = np.full((len(found), length), self.pad, np.int64)
        mask = np.zeros((len(found), length), np.int64)
        offsets = np.zeros((len(found), length, 2), np.int64)
        for row, one in enumerate(found):
            ids[row, : len(one)] = one.ids
            mask[row, : len(one)] = 1
        for row in offsets_of:
            offsets[row, : len(found[row])] = found[row].offsets
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(offsets))
