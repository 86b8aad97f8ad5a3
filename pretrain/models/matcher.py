"""Builds the matcher: BLIP's image encoder, text encoder, and the same text encoder grounded by cross-attention.

It is a stock `BlipForImageTextRetrieval` (Li et al. 2022, arXiv:2201.12086), so that one trained here and a published
one are interchangeable. `data_filters.matching` composes its parts.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipTextConfig,
    BlipVisionConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from data_filters.errors import InputError
from pretrain.matcher_model_config import MatcherModelConfig
from pretrain.models.towers import ARCHITECTURE

logger = logging.getLogger(__name__)

INITIAL_DEVIATION = (
    0.02  # of weights; transformers' own value for the image encoder, 1e-10, is for loading others
)
LISTED = 3  # tensors that a remark names


def build_matcher(
    config: MatcherModelConfig, vocabulary_size: int, tokenizer: PreTrainedTokenizerFast
) -> BlipForImageTextRetrieval:
    """Build the matcher that `config` describes, for a tokenizer of `vocabulary_size` pieces.

    With `config.pretrained` its shape and weights are those of a BLIP checkpoint of any kind; tensors that this lacks
    keep random weights, and a warning names them and those that are not taken over. Raises InputError when it cannot be
    loaded, is no BLIP, or has fewer pieces than the tokenizer.
    """
    if config.pretrained is not None:
        return _published(config.pretrained, vocabulary_size)
    image, text = config.image, config.text
    blip = BlipConfig(
        text_config=BlipTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=text.width,
            encoder_hidden_size=image.width,
            num_hidden_layers=text.layers,
            num_attention_heads=text.heads,
            intermediate_size=text.feed_forward,
            max_position_embeddings=max(64, text.max_tokens),
            hidden_dropout_prob=text.dropout,
            attention_probs_dropout_prob=text.dropout,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            sep_token_id=tokenizer.sep_token_id,
            projection_dim=config.projection_dim,
        ).to_dict(),
        vision_config=BlipVisionConfig(
            image_size=image.image_size,
            patch_size=image.patch_size,
            hidden_size=image.width,
            num_hidden_layers=image.layers,
            num_attention_heads=image.heads,
            intermediate_size=int(image.width * image.mlp_ratio),
            projection_dim=config.projection_dim,
            initializer_range=INITIAL_DEVIATION,
        ).to_dict(),
        projection_dim=config.projection_dim,
        image_text_hidden_size=config.projection_dim,
    )
    return BlipForImageTextRetrieval(blip)


def _published(folder: str, vocabulary_size: int) -> BlipForImageTextRetrieval:
    """The matcher of a BLIP checkpoint; of a folder that a run stored, one with random weights."""
    stored = Path(folder) / ARCHITECTURE
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        if stored.is_file():
            values = json.loads(stored.read_text(encoding="utf-8"))
            return BlipForImageTextRetrieval(_blip_config(values, folder)).train()
        values = BlipConfig.get_config_dict(folder)[0]
        _blip_config(values, folder)
        loaded: Any = BlipForImageTextRetrieval.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"model.pretrained is {folder!r}: {reason}; give the local folder of a BLIP checkpoint"
        ) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    model, about = loaded
    known = model.config.text_config.vocab_size
    if vocabulary_size > known:
        raise InputError(
            f"tokenizer has {vocabulary_size} pieces, model.pretrained {folder!r} knows {known}; set tokenizer to the "
            "one of that checkpoint"
        )
    _say_differences(folder, sorted(about["missing_keys"]), sorted(about["unexpected_keys"]))
    trained: BlipForImageTextRetrieval = model.train()
    return trained


def _blip_config(values: dict[str, object], folder: str) -> BlipConfig:
    kind = values.get("model_type")
    if kind != "blip":
        raise InputError(f"model.pretrained is {folder!r}, a {kind}; give the folder of a BLIP checkpoint")
    return BlipConfig.from_dict(values)


def _say_differences(folder: str, missing: list[str], unexpected: list[str]) -> None:
    """Warn of tensors that keep random weights, and of those that are not taken over."""
    for names, what in ((missing, "keep random weights"), (unexpected, "are not taken over")):
        if names:
            some = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
            logger.warning("model.pretrained %s: %d tensors %s (%s)", folder, len(names), what, some)
