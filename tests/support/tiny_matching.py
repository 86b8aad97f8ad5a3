"""A BLIP of a few thousand random weights for image-text matching, saved by transformers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import SIDE, WORDS, word_tokenizer
from transformers import BlipConfig, BlipForImageTextRetrieval
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from pipelines.curate.look.matcher import Matcher

ENCODE = "[ENC]"
_SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


# Any: sizes of transformers' configurations.
def tiny_config(tokens: int = 20, side: int = SIDE, patch: int = 8, **sizes: Any) -> BlipConfig:
    """Small towers; `sizes` are those of both."""
    text = {
        **_SMALL, **sizes, "vocab_size": len(WORDS) + 5, "max_position_embeddings": tokens,
        "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    text["encoder_hidden_size"] = text["hidden_size"]
    vision = {**_SMALL, **sizes, "image_size": side, "patch_size": patch}
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=12)


def tiny_model(seed: int = 0, **options: Any) -> BlipForImageTextRetrieval:
    """Weights so large that scores of different pairs differ."""
    torch.manual_seed(seed)
    model = BlipForImageTextRetrieval(tiny_config(**options)).eval()
    for name, weights in model.named_parameters():
        if weights.ndim > 1 and "embedding" not in name:
            torch.nn.init.normal_(weights, std=1.5 / weights.shape[-1] ** 0.5)
        elif "embedding" in name:
            torch.nn.init.normal_(weights, std=0.5)
    return model


# Any: as above, and a model of transformers.
def tiny_matching(folder: Path, model: Any = None, tokens: int = 20, **options: Any) -> str:
    """Model, image processor and tokenizer in a folder, whose path is returned."""
    model = tiny_model(tokens=tokens, **options) if model is None else model
    model.save_pretrained(folder)
    side = options.get("side", SIDE)
    BlipImageProcessorPil(size={"height": side, "width": side}).save_pretrained(folder)
    tokenizer = word_tokenizer(tokens)
    tokenizer.add_special_tokens({"additional_special_tokens": [ENCODE]})
    tokenizer.save_pretrained(folder)
    return str(folder)


def counted_calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts, from now on, the images and the grounded captions that a matcher of curation is shown."""
    counts = {"images": 0, "itm": 0}
    images, matching = Matcher.image_tokens, Matcher.matching

    def counting_images(self: Matcher, given: Any) -> Any:
        counts["images"] += len(given)
        return images(self, given)

    def counting_matching(self: Matcher, tokens: Any, captions: Any, wanted: Any) -> Any:
        counts["itm"] += len(wanted)
        return matching(self, tokens, captions, wanted)

    monkeypatch.setattr(Matcher, "image_tokens", counting_images)
    monkeypatch.setattr(Matcher, "matching", counting_matching)
    return counts
