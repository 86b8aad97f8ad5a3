"""The recipe's section `model` of a matcher: BLIP's image encoder and text encoder."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from pipelines.common.config import Section
from pretrain.model_config import TextTowerConfig
from pretrain.pixel_statistics import STANDARD, Channels, PixelStatistics


class MatcherImageConfig(Section):
    """Image encoder: a ViT."""

    image_size: int = Field(224, ge=16, description="input height and width, px")
    patch_size: int = Field(16, ge=1, description="side of an input patch, px")
    width: int = Field(768, ge=8, description="hidden size")
    layers: int = Field(12, ge=1, description="number of layers")
    heads: int = Field(12, ge=1, description="attention heads")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden over input width of the feed-forward layers")
    pixel_mean: Channels = Field(
        STANDARD.mean, description="mean of each channel as a share of the largest byte"
    )
    pixel_std: Channels = Field(
        STANDARD.std, description="standard deviation of each channel, as `pixel_mean`"
    )
    resample: Literal["bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"] = Field(
        "bicubic", description="filter that resizes images"
    )

    @model_validator(mode="after")
    def check_shape(self) -> MatcherImageConfig:
        """Raise ValueError when patches do not fill the image, or heads do not divide the width."""
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size is {self.image_size}; allowed are multiples of patch_size {self.patch_size}"
            )
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide width {self.width}")
        return self

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels."""
        return PixelStatistics(self.pixel_mean, self.pixel_std)


class MatcherModelConfig(Section):
    """Stock `BlipForImageTextRetrieval`; random weights unless `pretrained` names a checkpoint."""

    pretrained: str | None = Field(
        None,
        description="local path or hub name of a BLIP checkpoint; its shape replaces that of `image` and `text`, but "
        "not `image.image_size`, `text.max_tokens` and pixels, which have to fit it",
    )
    image: MatcherImageConfig = MatcherImageConfig()
    text: TextTowerConfig = TextTowerConfig(width=768, layers=12, heads=12, feed_forward=3072, max_tokens=35)
    projection_dim: int = Field(256, ge=1, description="width of the space of ITC's embeddings")
    temperature: float = Field(0.07, gt=0, description="initial softmax temperature of ITC")
    max_logit_scale: float = Field(
        100.0, gt=0, description="largest inverse temperature; the step clamps to it"
    )
    first_token: str = Field(
        "[CLS]",
        min_length=1,
        description="token in place 0 of a caption that attends to the image; BLIP's own pretraining: [ENC]",
    )

    @property
    def log_max_logit_scale(self) -> float:
        """Largest logarithm of the inverse temperature."""
        return math.log(self.max_logit_scale)
