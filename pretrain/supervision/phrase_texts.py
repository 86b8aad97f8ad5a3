"""The phrases of phrase_contrast: some of each caption's, encoded as texts of their own.

Shapes: B pairs, K phrases drawn, P slots for phrases, L tokens of a caption, T tokens of a phrase, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from pretrain.data.samples.batch import Batch
from pretrain.objectives.phrase_contrast import PhraseContrastOptions, PhraseTexts
from pretrain.objectives.shared.keyed_noise import keyed_gumbel
from pretrain.step_context import StepContext
from pretrain.supervision.phrases import encode_phrases, phrases_alone
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting

_FACTOR = 0x2545F4914F6CDD1D
_START = 0x5851F42D4C957F2D


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
        ids, mask = phrases_alone(batch.input_ids, batch.attention_mask, batch.phrase_tokens, longest)
        drawn = drawn_phrases(batch, options.phrases, step.shared_seed)
        rows = torch.arange(len(batch), device=ids.device)[:, None]
        names = token_hashes(ids, mask)
        texts = encode_phrases(
            inputs.encoder, ids[rows, drawn].flatten(0, 1), mask[rows, drawn].flatten(0, 1), options.text
        )
        return Supplied(
            PhraseTexts(
                texts=texts.unflatten(0, drawn.shape),
                real=batch.phrase_mask[rows, drawn],
                names=names[rows, drawn],
                mentioned=names.masked_fill(~batch.phrase_mask, 0),
            )
        )


def drawn_phrases(batch: Batch, count: int, seed: int) -> Int[Tensor, "B K"]:
    """Draw slots of each caption, all equally often and none twice; empty ones only where there are too few."""
    slots = batch.phrase_mask.shape[1]
    noise = keyed_gumbel(seed, batch.key_hashes, torch.arange(slots)).to(batch.phrase_mask.device)
    noise = noise.masked_fill(~batch.phrase_mask, float("-inf"))
    return noise.argsort(dim=1, descending=True, stable=True)[:, : min(count, slots)]


def token_hashes(ids: Int[Tensor, "B P T"], mask: Int[Tensor, "B P T"]) -> Int[Tensor, "B P"]:
    """Return a 64-bit hash of each row of tokens, padding left out; equal on every device, and never 0."""
    value = torch.full(ids.shape[:-1], _START, dtype=torch.int64, device=ids.device)
    for place in range(ids.shape[-1]):
        next_value = (value ^ (ids[..., place] + 1)) * _FACTOR
        next_value = next_value ^ ((next_value >> 29) & 0x7FFFFFFFF)
        value = torch.where(mask[..., place].bool(), next_value, value)
    return torch.where(value == 0, torch.ones_like(value), value)
