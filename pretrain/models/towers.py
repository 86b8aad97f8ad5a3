"""Image and text towers from transformers, with random weights of a given shape or with published weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    FocalNetConfig,
    FocalNetModel,
    PreTrainedModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
)

from data_filters.errors import InputError
from pretrain.model_config import ImageTowerConfig, TextTowerConfig

IMAGE_KINDS = ("swin", "vit", "focalnet")
"""Model types of the image towers whose maps are known (`dual_encoder.map_shape`)."""
ARCHITECTURE = "architecture.json"
"""Name of the file with a published tower's architecture in the folder of a run (see `stored_parts`)."""


def build_image_tower(config: ImageTowerConfig) -> PreTrainedModel:
    """Build the image tower that `config` describes.

    Raises InputError when `config.pretrained` cannot be loaded or is of another kind.
    """
    if config.pretrained is not None:
        return _published(config.pretrained, "model.image.pretrained", IMAGE_KINDS)
    if config.kind == "swin":
        swin = SwinConfig(
            image_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.width,
            depths=list(config.depths),
            num_heads=list(config.heads),
            window_size=config.window,
            mlp_ratio=config.mlp_ratio,
            drop_path_rate=config.drop_path,
        )
        return SwinModel(swin)
    if config.kind == "focalnet":
        stages = len(config.depths)
        focalnet = FocalNetConfig(
            image_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.width,
            use_conv_embed=True,
            hidden_sizes=[config.width * 2**stage for stage in range(stages)],
            depths=list(config.depths),
            focal_levels=[config.focal_levels] * stages,
            focal_windows=[config.focal_window] * stages,
            mlp_ratio=config.mlp_ratio,
            drop_path_rate=config.drop_path,
        )
        _tell_width(focalnet)
        return FocalNetModel(focalnet)
    vit = ViTConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.width,
        num_hidden_layers=config.depths[0],
        num_attention_heads=config.heads[0],
        intermediate_size=int(config.width * config.mlp_ratio),
    )
    return ViTModel(vit)


def build_text_tower(config: TextTowerConfig, vocabulary_size: int) -> PreTrainedModel:
    """Build the BERT that `config` describes, for a tokenizer of `vocabulary_size` pieces.

    Raises InputError when `config.pretrained` cannot be loaded, is no BERT, or has fewer pieces than the tokenizer.
    """
    if config.pretrained is not None:
        tower = _published(config.pretrained, "model.text.pretrained", ("bert",))
        known = tower.config.vocab_size
        if vocabulary_size > known:
            raise InputError(
                f"tokenizer has {vocabulary_size} pieces, model.text.pretrained {config.pretrained!r} knows {known}; "
                f"set tokenizer to the one of that checkpoint"
            )
        return tower
    bert = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feed_forward,
        max_position_embeddings=max(64, config.max_tokens),
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
    )
    return BertModel(bert)


# Any: JSON values.
def published_architecture(name: str, field: str) -> dict[str, Any]:
    """Return the architecture of the tower at a local path or of a hub name, as JSON values; no weights are read.

    Raises InputError when it cannot be loaded; `field` is the recipe's key, for the message.
    """
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_found(name, field, error) from error
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return values


def _published(name: str, field: str, kinds: tuple[str, ...]) -> PreTrainedModel:
    """The tower at a local path or of a hub name; `field` is the recipe's key, for messages.

    A folder that a run stored (`ARCHITECTURE` in it) gives a tower with random weights, for a checkpoint to be loaded.
    """
    stored = Path(name) / ARCHITECTURE
    try:
        if stored.is_file():
            values = json.loads(stored.read_text(encoding="utf-8"))
            tower = AutoModel.from_config(AutoConfig.for_model(**values))
        else:
            tower = AutoModel.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_found(name, field, error) from error
    if tower.config.model_type not in kinds:
        raise InputError(f"{field} is a {tower.config.model_type}; allowed are {', '.join(kinds)}")
    if isinstance(tower.config, FocalNetConfig):
        _tell_width(tower.config)
    # `from_pretrained` returns a tower in evaluation mode: without its dropout and stochastic depth.
    trained: PreTrainedModel = tower.train()
    return trained


def _tell_width(config: FocalNetConfig) -> None:
    """Add `hidden_size`, the channels of the last map: a VisionTextDualEncoderModel asks for it. It is saved, too."""
    config.update({"hidden_size": config.embed_dim * 2 ** (len(config.depths) - 1)})


def _not_found(name: str, field: str, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"{field} is {name!r}: {reason}; give a local folder or a hub name")
