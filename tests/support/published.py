"""Tiny published checkpoints of random weights, saved by transformers alone: towers of each kind, and whole models.

Tokenizers know the word pieces of WORDS; image processors squeeze to SIDE px and normalise in a way of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextConfig,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2Model,
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    FocalNetConfig,
    FocalNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    SwinConfig,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
    ViTConfig,
    ViTModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

SIDE, TOKENS = 32, 12
WORDS = ["picture", "the", "red", "blue", "dog", "car", "umbrella", *map(str, range(20))]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_SMALL = _LAYERS | {"intermediate_size": 32}
_PATCHES = {"image_size": SIDE, "patch_size": 8}
_STAGES = {"image_size": SIDE, "patch_size": 4, "depths": [1, 2]}
# DINOv2's positions are those of other images than its processor makes, as in its published checkpoints.
_DINO = _LAYERS | {"image_size": 56, "patch_size": 8, "layerscale_value": 1.0}

IMAGE_TOWERS: dict[str, Callable[[], PreTrainedModel]] = {
    "vit": lambda: ViTModel(ViTConfig(**_SMALL, **_PATCHES)),
    "swin": lambda: SwinModel(SwinConfig(**_STAGES, embed_dim=8, num_heads=[1, 2], window_size=4)),
    "focalnet": lambda: FocalNetModel(
        FocalNetConfig(
            **_STAGES,
            embed_dim=8,
            use_conv_embed=True,
            hidden_sizes=[8, 16],
            focal_levels=[2, 2],
            focal_windows=[3, 3],
        )
    ),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**_DINO)),
    "dinov2_with_registers": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**_DINO, num_register_tokens=3)
    ),
    "dinov3_vit": lambda: DINOv3ViTModel(DINOv3ViTConfig(**_SMALL, **_PATCHES, num_register_tokens=2)),
    "deit": lambda: DeiTModel(DeiTConfig(**_SMALL, **_PATCHES)),
    "swinv2": lambda: Swinv2Model(Swinv2Config(**_STAGES, embed_dim=8, num_heads=[1, 2], window_size=4)),
    "siglip_vision_model": lambda: SiglipVisionModel(SiglipVisionConfig(**_SMALL, **_PATCHES)),
    "clip_vision_model": lambda: CLIPVisionModel(CLIPVisionConfig(**_SMALL, **_PATCHES)),
    "convnext": lambda: ConvNextModel(ConvNextConfig(**_STAGES, num_stages=2, hidden_sizes=[8, 16])),
    "convnextv2": lambda: ConvNextV2Model(ConvNextV2Config(**_STAGES, num_stages=2, hidden_sizes=[8, 16])),
}
_TEXT = _SMALL | {"vocab_size": 40, "max_position_embeddings": TOKENS}
_ROBERTA = _SMALL | {"vocab_size": 40, "max_position_embeddings": TOKENS + 1, "pad_token_id": 0}
_CLIP_TEXT = _TEXT | {"bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0}

TEXT_TOWERS: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: BertModel(BertConfig(**_TEXT)),
    "roberta": lambda: RobertaModel(RobertaConfig(**_ROBERTA)),
    "xlm-roberta": lambda: XLMRobertaModel(XLMRobertaConfig(**_ROBERTA)),
    "clip_text_model": lambda: CLIPTextModel(CLIPTextConfig(**_CLIP_TEXT)),
}
_VISION = _SMALL | _PATCHES

WHOLE: dict[str, Callable[[], PreTrainedModel]] = {
    "clip": lambda: CLIPModel(CLIPConfig(text_config=_CLIP_TEXT, vision_config=_VISION, projection_dim=24)),
    "siglip": lambda: SiglipModel(
        SiglipConfig(text_config=_TEXT | {"projection_size": 16, "pad_token_id": 0}, vision_config=_VISION)
    ),
}


def image_tower(folder: Path, kind: str) -> str:
    """An image tower of IMAGE_TOWERS with its image processor; returns its folder."""
    save(folder, IMAGE_TOWERS[kind]())
    processor().save_pretrained(folder)
    return str(folder)


def text_tower(folder: Path, kind: str) -> str:
    """A text tower of TEXT_TOWERS with its tokenizer; returns its folder."""
    save(folder, TEXT_TOWERS[kind]())
    tokenizer(kind).save_pretrained(folder)
    return str(folder)


def whole_model(folder: Path, kind: str) -> str:
    """A whole CLIP or SigLIP with tokenizer and image processor; returns its folder."""
    model: Any = WHOLE[kind]()
    with torch.no_grad():
        model.logit_scale.fill_(2.5)
        if kind == "siglip":
            model.logit_bias.fill_(-3.0)
    save(folder, model)
    tokenizer(kind).save_pretrained(folder)
    processor().save_pretrained(folder)
    return str(folder)


def save(folder: Path, model: PreTrainedModel) -> None:
    """Save a model whose matrices are large enough for pictures and words to differ."""
    torch.manual_seed(0)
    # A FocalNet has no attention, which makes unequal of equal cells: its norms magnify gradients of masked cells.
    std = 0.02 if model.config.model_type == "focalnet" else 0.3
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1 and "embedding" not in name and "relative" not in name:
                torch.nn.init.normal_(weights, std=std)
    model.save_pretrained(folder)


def processor(**settings: Any) -> ViTImageProcessorPil:
    """The stock image processor of every tower here."""
    size = {"height": SIDE, "width": SIDE}
    return ViTImageProcessorPil(**{"size": size, "image_mean": MEAN, "image_std": STD} | settings)


def tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Knows WORDS; texts begin with [BOS] and end with [EOS], those of a SigLIP only end with it."""
    known = {word: number for number, word in enumerate(["[PAD]", "[BOS]", "[UNK]", "[EOS]", *WORDS])}
    engine = Tokenizer(models.WordLevel(known, "[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = [("[BOS]", known["[BOS]"]), ("[EOS]", known["[EOS]"])]
    pattern = "$A [EOS]" if kind == "siglip" else "[BOS] $A [EOS]"
    engine.post_processor = processors.TemplateProcessing(single=pattern, special_tokens=specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=engine,
        model_max_length=TOKENS,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
        model_input_names=["input_ids"] if kind == "siglip" else ["input_ids", "attention_mask"],
    )
