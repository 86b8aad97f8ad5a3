"""The phrases of phrase_contrast: some of each caption's, encoded as texts of their own.

Shapes: B pairs, K phrases drawn, P slots for phrases, L tokens of a caption, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.batch import Batch
from pretrain.objectives.phrase_contrast import PhraseContrastOptions, PhraseTexts
from pretrain.objectives.shared.keyed_noise import keyed_gumbel
from pretrain.step_context import StepContext
from pretrain.supervision.phrases import encode_phrases, phrases_alone
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting

_FACTOR = 0x2545F4914F6CDD1D
_MOST_TOKENS = 1 << 14
_FIRST_OF_WORDS = 1 << 20  # columns of noise before this one are of `drawn_phrases`


class PhraseTextSupplier(Supplier):
    """Draws phrases and encodes them, with gradient, in one forward pass of B × K texts."""

    def __init__(self, options: PhraseContrastOptions) -> None:
        super().__init__()
        self.options = options

    @classmethod
    def build(cls, setting: SupplierSetting) -> PhraseTextSupplier:
        """Build the supplier with the options of the objective phrase_contrast."""
        return cls(setting.options_of("phrase_contrast", PhraseContrastOptions))

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return `PhraseTexts`; which phrases are drawn depends on the step and the pair's key, not on ranks."""
        batch, options = inputs.batch, self.options
        longest = min(options.longest, batch.input_ids.shape[1])  # a phrase is no longer than its caption
        drawn = drawn_phrases(batch, options.phrases, step.shared_seed)
        rows = torch.arange(len(batch), device=batch.input_ids.device)[:, None]
        tokens = shortened(batch, batch.phrase_tokens[rows, drawn], options.shortened, step.shared_seed)
        ids, mask = phrases_alone(batch.input_ids, batch.attention_mask, tokens, longest)
        texts = encode_phrases(inputs.encoder, ids.flatten(0, 1), mask.flatten(0, 1), options.text)
        return Supplied(
            PhraseTexts(
                texts=texts.unflatten(0, drawn.shape),
                real=batch.phrase_mask[rows, drawn],
                content=contents(batch.input_ids, tokens),
                mentioned=contents(batch.input_ids, batch.phrase_tokens & batch.phrase_mask[..., None]),
            )
        )


def drawn_phrases(batch: Batch, count: int, seed: int) -> Int[Tensor, "B K"]:
    """Draw slots of each caption, all equally often and none twice; empty ones only where there are too few."""
    slots = batch.phrase_mask.shape[1]
    noise = keyed_gumbel(seed, batch.key_hashes, torch.arange(slots)).to(batch.phrase_mask.device)
    noise = noise.masked_fill(~batch.phrase_mask, float("-inf"))
    return noise.argsort(dim=1, descending=True, stable=True)[:, : min(count, slots)]


def shortened(batch: Batch, tokens: Bool[Tensor, "B K L"], share: float, seed: int) -> Bool[Tensor, "B K L"]:
    """Leave only some words of a `share` of the phrases: 1 to all but one, each number equally often.

    Draws depend on the seed and the pairs' keys. A phrase of one word stays.
    """
    if not share:
        return tokens
    each, length = tokens.shape[1:]
    # A column for every token that a caption may have: draws must not depend on how far this batch is padded.
    columns = torch.arange(each)[:, None] * _MOST_TOKENS + torch.arange(-2, length) + _FIRST_OF_WORDS
    noise = keyed_gumbel(seed, batch.key_hashes, columns.flatten()).unflatten(1, (each, length + 2))
    noise = noise.to(tokens.device)
    uniform, noise = torch.exp(-torch.exp(-noise[..., :2])), noise[..., 2:]
    starts = tokens & batch.word_starts[:, None]
    starts = starts | (tokens & (tokens.cumsum(-1) == 1))
    words = starts.sum(-1)
    kept = 1 + torch.floor(uniform[..., 1] * (words - 1)).clamp(min=0)
    kept = torch.where(uniform[..., 0] < share, kept, words)
    best = noise.masked_fill(~starts, float("-inf"))
    rank = best.argsort(-1, descending=True).argsort(-1)
    chosen = starts & (rank < kept[..., None])
    word = starts.cumsum(-1).clamp(min=1) - 1  # which word a token belongs to, of the phrase's words so far
    place = starts.long().argsort(dim=-1, descending=True, stable=True)  # where each word starts
    return tokens & chosen.gather(-1, place.gather(-1, word))


def contents(ids: Int[Tensor, "B L"], tokens: Bool[Tensor, "B P L"]) -> Int[Tensor, "B P 2"]:
    """Return the set of tokens of each phrase in 2 × 64 bits, a bit of each half for every token; 0 for no token."""
    mixed = (ids + 1) * _FACTOR
    bit = torch.stack([(mixed >> 58) & 63, (mixed >> 40) & 63], -1)
    of_token = F.one_hot(bit, 64).flatten(-2)  # [B, L, 128]
    present = (tokens.float() @ of_token.float()) > 0
    shift = torch.arange(64, device=ids.device)
    return (present.unflatten(-1, (2, 64)).long() << shift).sum(-1)
