"""Image and text towers from transformers, with random weights of a given shape or with published weights."""

from __future__ import annotations

from transformers import (
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
from pretrain.models.published_towers import published_tower, tell_width


def build_image_tower(config: ImageTowerConfig) -> PreTrainedModel:
    """Build the image tower that `config` describes.

    Raises InputError when `config.pretrained` cannot be loaded or is of another kind.
    """
    if config.pretrained is not None:
        return published_tower(
            config.pretrained, "model.image.pretrained", "vision_config", config.train.from_step is None
        )
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
        tell_width(focalnet)
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
    """Build the text tower that `config` describes, for a tokenizer of `vocabulary_size` pieces: BERT, or published.

    Raises InputError when `config.pretrained` cannot be loaded, is of a kind that is not known, or has fewer pieces
    than the tokenizer.
    """
    if config.pretrained is not None:
        tower = published_tower(
            config.pretrained, "model.text.pretrained", "text_config", config.train.from_step is None
        )
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
