"""Tokenising of captions by the fast tokenizer's own engine, straight into arrays."""

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
    """B captions of at most L tokens; `offsets` are characters (start, end), (0, 0) for special tokens and padding."""

    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    offsets: Int[Tensor, "B L 2"]


class CaptionEncoder:
    """Gives the same ids as `tokenizer(captions, padding=True, truncation=True, max_length=max_tokens)`.

    It calls the engine of the fast tokenizer directly: transformers' wrapper takes longer than the tokenising itself,
    since it builds and flattens lists of every field of every caption. Padding is on the right, as BERT's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
        self.pad = int(tokenizer.pad_token_id)
        # A copy: transformers sets truncation and padding on its own engine at every call.
        self.engine = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.engine.no_padding()
        self.engine.enable_truncation(max_tokens)

    def __call__(self, captions: list[str], offsets_of: Collection[int] = ()) -> Tokens:
        """Tokens of the captions; offsets only for the rows in `offsets_of`, (0, 0) in all others."""
        encodings = self.engine.encode_batch(captions)
        length = max(len(encoding) for encoding in encodings)
        ids = np.full((len(encodings), length), self.pad, np.int64)
        mask = np.zeros((len(encodings), length), np.int64)
        offsets = np.zeros((len(encodings), length, 2), np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        for row in offsets_of:
            offsets[row, : len(encodings[row])] = encodings[row].offsets
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(offsets))
