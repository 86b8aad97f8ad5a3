"""Equal towers for loupe and open_clip: one shape, written as a recipe of the one and a model file of the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEAN = STD = 0.5  # of a pixel, as a share of the largest byte
CROP = (0.9, 1.0)  # share of the area; open_clip's default


@dataclass(frozen=True)
class Towers:
    """A ViT and a text transformer, heads of 64 channels, feed-forward layers of four times the width.

    open_clip fills captions up to `context` tokens, loupe up to the longest of the batch: towers do the same work where
    a caption of nearly every batch reaches `context`.
    """

    image_size: int = 112  # px
    patch_size: int = 16  # px
    width: int = 192
    image_layers: int = 4
    text_layers: int = 3
    context: int = 24  # tokens, [CLS] and [SEP] counted
    embedding: int = 128
    batch: int = 64

    def recipe(self) -> dict[str, Any]:
        """The recipe of loupe: contrastive loss, fp32, no clipping (open_clip's default), no dropout (as open_clip)."""
        heads = self.width // 64
        return {
            "name": "equal_towers",
            "model": {
                "projection_dim": self.embedding,
                "image": {
                    "kind": "vit",
                    "image_size": self.image_size,
                    "patch_size": self.patch_size,
                    "width": self.width,
                    "depths": [self.image_layers],
                    "heads": [heads],
                    "pixel_mean": [MEAN] * 3,
                    "pixel_std": [STD] * 3,
                },
                "text": {
                    "width": self.width,
                    "layers": self.text_layers,
                    "heads": heads,
                    "feed_forward": 4 * self.width,
                    "max_tokens": self.context,
                    "dropout": 0.0,
                },
            },
            "objectives": {"contrastive": {}},
            "data": {
                "batch_size": self.batch,
                "crop_scale": CROP,
                "flip": False,
                "max_phrases": 0,
                "decode_threads": 1,
            },
            "optimizer": {"clip_norm": 0},
            "schedule": {"log_every": 10, "checkpoint_every": 10**9},
            "engine": {"precision": "fp32"},
            "workers": {"count": 1},
        }

    def open_clip_model(self, tokenizer: Path, vocabulary: int) -> dict[str, Any]:
        """The model file of open_clip: CLIP's own towers over the pieces of a tokenizer in a folder."""
        return {
            "embed_dim": self.embedding,
            "vision_cfg": {
                "image_size": self.image_size,
                "layers": self.image_layers,
                "width": self.width,
                "head_width": 64,
                "patch_size": self.patch_size,
            },
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": str(tokenizer),
                "width": self.width,
                "heads": self.width // 64,
                "layers": self.text_layers,
                "pool_type": "eos",
                "eos_id": 3,  # [SEP] of the shipped vocabulary
            },
        }


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """Write a document as JSON, which is YAML too."""
    path = folder / name
    path.write_text(json.dumps(document, indent=1))
    return path
