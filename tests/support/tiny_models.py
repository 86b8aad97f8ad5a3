"""Hugging Face checkpoints of a few thousand random weights, saved as their own classes save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

WORDS = [
    "a",
    "the",
    "cat",
    "dog",
    "runs",
    "sleeps",
    "red",
    "green",
    "chair",
    "field",
    "across",
    "below",
    "number",
]
SIDE = 32
_SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny_classifier(
    folder: Path, labels: tuple[str, ...] = ("safe", "unsafe", "drawing"), seed: int = 0, **config: Any
) -> str:
    """A ViT that classifies; returns its folder."""
    torch.manual_seed(seed)
    names = dict(enumerate(labels))
    model = ViTForImageClassification(
        ViTConfig(
            **_SMALL, image_size=SIDE, patch_size=8, id2label=names, label2id={v: k for k, v in names.items()},
            initializer_range=0.5, **config,
        )
    )  # fmt: skip
    torch.nn.init.normal_(model.classifier.bias)
    _save(model, folder)
    return str(folder)


def tiny_dual_encoder(folder: Path, kind: str = "clip", tokens: int = 20) -> str:
    """A CLIP or SigLIP with a tokenizer of WORDS; returns its folder."""
    torch.manual_seed(0)
    text = {
        **_SMALL,
        "vocab_size": len(WORDS) + 4,
        "max_position_embeddings": tokens,
        "initializer_range": 0.5,
    }
    vision = {**_SMALL, "image_size": SIDE, "patch_size": 8, "initializer_range": 0.5}
    if kind == "clip":
        text |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        model: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    else:
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    for (
        name,
        weights,
    ) in model.named_parameters():  # their own beginnings are so small that all pictures look alike
        if weights.ndim > 1 and "embedding" not in name:
            torch.nn.init.normal_(weights, std=0.4)
    _save(model, folder)
    word_tokenizer(tokens).save_pretrained(folder)
    return str(folder)


def _save(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def word_tokenizer(tokens: int) -> PreTrainedTokenizerFast:
    """Reads WORDS; every other word is unknown."""
    known = {word: number for number, word in enumerate(["[PAD]", "[BOS]", "[EOS]", "[UNK]", *WORDS])}
    # CLIP finds the end of a text as its highest or its end-of-text token.
    tokenizer = Tokenizer(models.WordLevel(known, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=tokens,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
    )
