"""Image and text towers from transformers, from a shape or from published weights."""

from __future__ import annotations

from typing import Any

from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    PreTrainedModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
)

from data_filters.errors import InputError


def build_image_tower(config: Any) -> PreTrainedModel:
    """The image tower that `config` (ImageTowerConfig) describes.

    Raises InputError when `config.pretrained` cannot be loaded or is neither a Swin nor a ViT.
    """
    if config.pretrained is not None:
        return _published(config.pretrained, "model.image.pretrained", ("swin", "vit"))
    if config.kind == "swin":
        shape = SwinConfig(
            image_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.width,
            depths=list(config.depths),
            num_heads=list(config.heads),
            window_size=config.window,
            mlp_ratio=config.mlp_ratio,
            drop_path_rate=config.drop_path,
        )
        return SwinModel(shape)
    shape = ViTConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.width,
        num_hidden_layers=config.depths[0],
        num_attention_heads=config.heads[0],
        intermediate_size=int(config.width * config.mlp_ratio),
    )
    return ViTModel(shape)


def build_text_tower(config: Any, vocabulary_size: int) -> PreTrainedModel:
    """The BERT that `config` (TextTowerConfig) describes, for a tokenizer of `vocabulary_size` pieces."""
    if config.pretrained is not None:
        tower = _published(config.pretrained, "model.text.pretrained", ("bert",))
        known = tower.config.vocab_size
        if vocabulary_size > known:
            raise InputError(
                f"tokenizer has {vocabulary_size} pieces, model.text.pretrained {config.pretrained!r} knows {known}; "
                f"set tokenizer to the one of that checkpoint"
            )
        return tower
    shape = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feed_forward,
        max_position_embeddings=max(64, config.max_tokens),
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
    )
    return BertModel(shape)


def _published(name: str, field: str, kinds: tuple[str, ...]) -> PreTrainedModel:
    try:
        tower = AutoModel.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{field} is {name!r}: {reason}; give a local folder or a hub name") from error
    if tower.config.model_type not in kinds:
        raise InputError(f"{field} is a {tower.config.model_type}; allowed are {', '.join(kinds)}")
    return tower
