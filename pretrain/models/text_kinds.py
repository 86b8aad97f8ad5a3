"""Kinds of text towers: where each keeps its word embeddings, how many tokens it takes, how it pools them.

A new kind is one entry of `TEXT_KINDS`. Every kind has a pooled output, which a stock dual encoder projects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from data_filters.errors import InputError


def _positions(config: PreTrainedConfig) -> int:
    return int(config.max_position_embeddings)


def _positions_after_padding(config: PreTrainedConfig) -> int:
    """RoBERTa counts positions from the number of its padding token on."""
    return int(config.max_position_embeddings) - int(config.pad_token_id or 0) - 1


@dataclass(frozen=True)
class TextKind:
    """How the text towers of one model type of transformers are read."""

    words: str
    """Module whose output is the input word embeddings, [B, L, W]."""
    most_tokens: Callable[[PreTrainedConfig], int] = field(default=_positions)
    """Longest text, tokens with the special ones."""
    reads_padding: bool = False
    """Whether texts are padded to `most_tokens` and read without a mask, as in the tower's own training (SigLIP)."""
    pools_last: bool = False
    """Whether the embedding is taken at the end-of-text token, which the tokenizer has to add (CLIP)."""
    counts_padding: bool = False
    """Whether the number of the padding token has a meaning to the tower: it must be the tokenizer's."""
    projected: bool = True
    """Whether a linear projection leads from the pooled output to the shared space; a SigLIP has none."""


_ROBERTA = TextKind("embeddings.word_embeddings", most_tokens=_positions_after_padding, counts_padding=True)

TEXT_KINDS: dict[str, TextKind] = {
    "bert": TextKind("embeddings.word_embeddings"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "clip_text_model": TextKind("embeddings.token_embedding", pools_last=True),
    "siglip_text_model": TextKind(
        "embeddings.token_embedding", reads_padding=True, counts_padding=True, projected=False
    ),
}
"""Model type of transformers → how its text towers are read."""


def text_kind(config: PreTrainedConfig, field: str = "the text tower") -> TextKind:
    """The kind of a text tower's config. Raises InputError, which calls it `field`, for one that is not known."""
    kind = TEXT_KINDS.get(config.model_type)
    if kind is None:
        why = (
            "which has no pooled output for a stock dual encoder to project"
            if config.model_type == "distilbert"
            else "which is not known"
        )
        raise InputError(
            f"{field} is a {config.model_type}, {why}; allowed are {', '.join(TEXT_KINDS)}; give the folder of such a "
            "tower"
        )
    return kind


def check_tokenizer(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, field: str) -> None:
    """Raise InputError when a text tower cannot read what the tokenizer writes. `field` is the recipe's key."""
    kind = text_kind(config, field)
    pieces, known = len(tokenizer), config.vocab_size
    remedy = "set tokenizer to the one of that checkpoint"
    if pieces > known:
        raise InputError(f"tokenizer has {pieces} pieces, {field} knows {known}; {remedy}")
    if kind.counts_padding and tokenizer.pad_token_id != config.pad_token_id:
        raise InputError(
            f"tokenizer pads with token {tokenizer.pad_token_id}, {field} knows padding by token "
            f"{config.pad_token_id}; {remedy}"
        )
    if kind.pools_last:
        ids = tokenizer("a")["input_ids"]
        # As CLIPTextModel does: a config with 2 is of the time when the end was known as the highest token.
        end = pieces - 1 if config.eos_token_id == 2 else config.eos_token_id
        if not ids or ids[-1] != end or ids.count(end) != 1:
            raise InputError(
                f"tokenizer ends a text with token {ids[-1] if ids else 'none'}, {field} takes its embedding at token "
                f"{end}; {remedy}"
            )
