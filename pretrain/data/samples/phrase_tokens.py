"""Token positions of phrases, from their character spans and the offsets of a fast tokenizer.

A caption is cut at a limit of tokens (60 in the paper). A phrase that reaches beyond the cut is dropped, since its
first half alone may mean something else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor


class PhraseTokens(NamedTuple):
    """The phrases of a batch of captions, in a fixed number of slots.

    tokens: which token positions (of `input_ids`, special tokens counted) each phrase covers.
    mask: whether the slot holds a phrase; phrases are in the first slots, in the order of their spans.
    source: which of the caption's spans the slot holds, -1 for an empty slot.
    """

    tokens: Bool[Tensor, "batch phrases length"]
    mask: Bool[Tensor, "batch phrases"]
    source: Int[Tensor, "batch phrases"]


def align_phrases(
    offsets: Int[Tensor, "batch length 2"],
    spans: Sequence[Sequence[tuple[int, int]]],
    max_phrases: int,
) -> PhraseTokens:
    """Find the token positions of each caption's phrases, at most `max_phrases` of them.

    `offsets` is the `offset_mapping` of a fast tokenizer, with truncation and any padding; special tokens and padding
    have the empty offset (0, 0). `spans` are characters (start, end) of the captions, half open. A token that overlaps
    a span belongs to the phrase. Dropped are phrases that end after the last token kept (the cut splits them or leaves
    them out) and phrases without a token (the tokenizer ignores their characters); the next phrases take their slots.
    Raises ValueError when there are not as many captions with spans as with tokens.
    """
    if len(spans) != len(offsets):
        raise ValueError(f"{len(spans)} captions with spans, {len(offsets)} with tokens; expected as many")
    batch, length, _ = offsets.shape
    most = max((len(row) for row in spans), default=0)
    # An empty slot is the span (0, 0), which no token overlaps.
    bounds = torch.zeros(batch, most, 2, dtype=torch.long)
    for row, caption_spans in enumerate(spans):
        if caption_spans:
            bounds[row, : len(caption_spans)] = torch.tensor(caption_spans, dtype=torch.long)
    begins, ends = offsets.cpu().long().unbind(-1)
    covered = (
        (begins[:, None] < bounds[..., 1:]) & (ends[:, None] > bounds[..., :1]) & (ends > begins)[:, None]
    )
    whole = bounds[..., 1] <= ends.amax(dim=1, keepdim=True) if length else torch.zeros(batch, most).bool()
    kept = covered.any(dim=-1) & whole

    # Kept phrases first, in their own order, in `max_phrases` slots.
    order = torch.argsort(~kept, dim=1, stable=True)[:, :max_phrases]
    mask = torch.zeros(batch, max_phrases, dtype=torch.bool)
    source = torch.full((batch, max_phrases), -1, dtype=torch.long)
    tokens = torch.zeros(batch, max_phrases, length, dtype=torch.bool)
    used = order.shape[1]
    mask[:, :used] = kept.gather(1, order)
    source[:, :used] = torch.where(mask[:, :used], order, -1)
    tokens[:, :used] = covered.gather(1, order[..., None].expand(-1, -1, length)) & mask[:, :used, None]
    return PhraseTokens(tokens, mask, source)


def word_starts(offsets: Int[Tensor, "batch length 2"]) -> Bool[Tensor, "batch length"]:
    """Mark the tokens that do not continue the token before them: those with a gap, or a special token, before them.

    `offsets` as for `align_phrases`. Marks without a space around them belong to their word, as in "t-shirt".
    """
    begins, ends = offsets.unbind(-1)
    continues = (begins[:, 1:] == ends[:, :-1]) & (ends[:, :-1] > begins[:, :-1])
    return torch.cat([torch.ones_like(continues[:, :1]), ~continues], dim=1)
