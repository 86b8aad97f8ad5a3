"""Builds the matcher: BLIP's image encoder, text encoder, and the same text encoder grounded by cross-attention.

It is a stock `BlipForImageTextRetrieval` (Li et al. 2022, arXiv:2201.12086), so that one trained here and a published
one are interchangeable. `data_filters.matching` composes its parts.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
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
from pretrain.models.published_towers import ARCHITECTURE

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
    loaded, is no BLIP, takes other images or shorter captions, or has fewer pieces than the tokenizer.
    """
    if config.pretrained is not None:
        return _published(config.pretrained, config, vocabulary_size)
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


def _published(folder: str, config: MatcherModelConfig, vocabulary_size: int) -> BlipForImageTextRetrieval:
    """The matcher of a BLIP checkpoint; of a folder that a run stored, one with random weights."""
    stored = Path(folder) / ARCHITECTURE
    try:
        if stored.is_file():
            values = json.loads(stored.read_text(encoding="utf-8"))
        else:
            values = BlipConfig.get_config_dict(folder)[0]
    except (OSError, ValueError) as error:
        raise _not_loaded(folder, error) from error
    kind = values.get("model_type")
    if kind != "blip":
        what = f"a {kind}" if kind else "which holds no model"
        raise InputError(
            f"model.pretrained is {folder!r}, {what}; give the local folder of a BLIP checkpoint"
        )
    shape = BlipConfig.from_dict(values)
    _check_fit(folder, shape, config, vocabulary_size)
    return (BlipForImageTextRetrieval(shape) if stored.is_file() else _loaded(folder)).train()


def _loaded(folder: str) -> BlipForImageTextRetrieval:
    bars = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # its own report is a line for each tensor
    try:
        loaded: Any = BlipForImageTextRetrieval.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_loaded(folder, error) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
    model, about = loaded
    _say_differences(folder, sorted(about["missing_keys"]), sorted(about["unexpected_keys"]))
    matcher: BlipForImageTextRetrieval = model
    return matcher


def _not_loaded(folder: str, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(f"model.pretrained is {folder!r}: {reason}; give the local folder of a BLIP checkpoint")


def _check_fit(folder: str, shape: Any, config: MatcherModelConfig, vocabulary_size: int) -> None:
    """Refuse what the checkpoint would take in silence, such as images that fill a part of its places alone."""
    side, words = shape.vision_config.image_size, shape.text_config
    if config.image.image_size != side:
        raise InputError(
            f"model.image.image_size is {config.image.image_size}, model.pretrained {folder!r} takes {side} px; set "
            f"model.image.image_size={side}"
        )
    if config.text.max_tokens > words.max_position_embeddings:
        raise InputError(
            f"model.text.max_tokens is {config.text.max_tokens}, model.pretrained {folder!r} takes "
            f"{words.max_position_embeddings} at most; set model.text.max_tokens={words.max_position_embeddings}"
        )
    if vocabulary_size > words.vocab_size:
        raise InputError(
            f"tokenizer has {vocabulary_size} pieces, model.pretrained {folder!r} knows {words.vocab_size}; set "
            "tokenizer to the one of that checkpoint"
        )


def _say_differences(folder: str, missing: list[str], unexpected: list[str]) -> None:
    """Warn of tensors that keep random weights, and of those that are not taken over."""
    for names, what in ((missing, "keep random weights"), (unexpected, "are not taken over")):
        if names:
            some = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
            logger.warning("model.pretrained %s: %d tensors %s (%s)", folder, len(names), what, some)
