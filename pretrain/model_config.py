"""The recipe's section `model` of a dual encoder: both towers and the embedding space that they share."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from pipelines.common.config import Section
from pretrain.pixel_statistics import STANDARD, Channels, PixelStatistics


class ImageTowerConfig(Section):
    """Image tower; random weights unless `pretrained` names a checkpoint."""

    kind: Literal["swin", "vit", "focalnet"] = Field(
        "swin",
        description="architecture, from transformers; focalnet embeds patches by overlapping convolutions and has no "
        "attention: small towers learn shapes sooner",
    )
    pretrained: str | None = Field(
        None, description="local path or hub name; its shape replaces the fields below"
    )
    image_size: int = Field(224, ge=16, description="input height and width, px")
    patch_size: int = Field(4, ge=1, description="side of an input patch, px")
    width: int = Field(
        96, ge=8, description="channels of the first stage (swin, focalnet) or of every layer (vit)"
    )
    depths: tuple[int, ...] = Field((2, 2, 6, 2), description="layers per stage; a vit has one number")
    heads: tuple[int, ...] = Field((3, 6, 12, 24), description="attention heads per stage (swin, vit)")
    window: int = Field(7, ge=1, description="swin attention window, patches")
    focal_levels: int = Field(
        2,
        ge=1,
        description="focalnet: convolutions over ever larger windows in a layer; the widest is global",
    )
    focal_window: int = Field(3, ge=1, description="focalnet: window of the first of them, patches; odd")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden over input width of the feed-forward layers")
    drop_path: float = Field(0.1, ge=0, lt=1, description="stochastic depth rate (swin, focalnet)")
    pixel_mean: Channels = Field(
        STANDARD.mean,
        description="mean of each channel as a share of the largest byte; left out: that of the published tower",
    )
    pixel_std: Channels = Field(
        STANDARD.std, description="standard deviation of each channel, as `pixel_mean`"
    )
    resample: Literal["bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"] = Field(
        "bicubic", description="filter that resizes images; left out: that of the published tower"
    )
    masked_share: float = Field(
        0.0, ge=0, le=1, description="share of training images of which random cells are dropped"
    )
    masked_least: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="smallest share of cells that such an image keeps; its share is uniform from this to 1",
    )

    @model_validator(mode="after")
    def check_shape(self) -> ImageTowerConfig:
        """Raise ValueError when stages, heads, width, image size and patch size do not fit each other."""
        if self.kind != "focalnet" and len(self.depths) != len(self.heads):
            raise ValueError(
                f"heads has {len(self.heads)} stages, depths has {len(self.depths)}; give one per stage"
            )
        if self.kind == "vit" and len(self.depths) != 1:
            raise ValueError(f"depths is {list(self.depths)}; a vit has one stage, for example [12]")
        if self.kind == "focalnet" and (self.patch_size != 4 or self.focal_window % 2 == 0):
            raise ValueError(
                f"patch_size is {self.patch_size} and focal_window {self.focal_window}; a focalnet's first convolution "
                "has stride 4, and its windows are odd: set patch_size: 4 and focal_window: 3"
            )
        if not (min(self.pixel_std) > 0 and all(map(math.isfinite, (*self.pixel_mean, *self.pixel_std)))):
            raise ValueError(
                f"pixel_mean is {list(self.pixel_mean)}, pixel_std {list(self.pixel_std)}; allowed are three finite "
                "numbers each, deviations above 0"
            )
        cell = self.cell_size
        if self.image_size % cell:
            raise ValueError(
                f"image_size is {self.image_size}; allowed are multiples of {cell} (patch_size × merging)"
            )
        for stage, heads in enumerate(self.heads if self.kind != "focalnet" else ()):
            if (self.width * 2**stage) % heads:
                raise ValueError(
                    f"heads is {heads} in stage {stage}; it must divide the width {self.width * 2**stage}"
                )
        return self

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels that the tower takes."""
        return PixelStatistics(self.pixel_mean, self.pixel_std)

    @property
    def cell_size(self) -> int:
        """Side of one cell of the last map, px."""
        return self.patch_size * (1 if self.kind == "vit" else 2 ** (len(self.depths) - 1))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the last map; its cells are the image players of the token game."""
        side = self.image_size // self.cell_size
        return side, side


class TextTowerConfig(Section):
    """BERT of any size; random weights unless `pretrained` names a checkpoint."""

    pretrained: str | None = Field(
        None, description="local path or hub name; its shape replaces the fields below"
    )
    width: int = Field(512, ge=8, description="hidden size")
    layers: int = Field(4, ge=1, description="number of layers")
    heads: int = Field(8, ge=1, description="attention heads")
    feed_forward: int = Field(2048, ge=8, description="hidden width of the feed-forward layers")
    max_tokens: int = Field(60, ge=4, le=512, description="caption length limit, tokens with [CLS] and [SEP]")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of hidden states and attention")

    @model_validator(mode="after")
    def check_heads(self) -> TextTowerConfig:
        """Raise ValueError when the heads do not divide the width."""
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide width {self.width}")
        return self


class ModelConfig(Section):
    """The dual encoder: both towers, the shared embedding space and the temperature."""

    image: ImageTowerConfig = ImageTowerConfig()
    text: TextTowerConfig = TextTowerConfig()
    projection_dim: int = Field(512, ge=1, description="width of the shared embedding space")
    temperature: float = Field(0.07, gt=0, description="initial softmax temperature")
    max_logit_scale: float = Field(
        100.0, gt=0, description="largest inverse temperature; the step clamps to it"
    )

    @property
    def log_max_logit_scale(self) -> float:
        """Largest logarithm of the inverse temperature."""
        return math.log(self.max_logit_scale)
