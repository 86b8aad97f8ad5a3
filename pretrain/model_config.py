"""The recipe's section `model` of a dual encoder: both towers and the embedding space that they share."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.common.config import Section
from pretrain.pixel_statistics import STANDARD, Channels, PixelStatistics


class TowerTraining(Section):
    """When a tower learns, and how fast (LiT, Zhai et al. 2022, arXiv:2111.07991). Projections learn from step 0 on."""

    from_step: int | None = Field(
        0,
        ge=0,
        description="first step that changes the tower; before it the tower is locked: in evaluation mode, without "
        "gradient and weight decay; null: locked for ever",
    )
    rate: float = Field(
        1.0, gt=0, description="learning rate of the tower, as a multiple of optimizer.learning_rate"
    )

    def is_locked(self, step: int) -> bool:
        """Return whether optimiser step number `step`, counted from 0, leaves the tower as it is."""
        return self.from_step is None or step < self.from_step


class ImageTowerConfig(Section):
    """Image tower; random weights unless `pretrained` names a checkpoint."""

    kind: Literal["swin", "vit", "focalnet"] = Field(
        "swin",
        description="architecture, from transformers; focalnet embeds patches by overlapping convolutions and has no "
        "attention: small towers learn shapes sooner",
    )
    pretrained: str | None = Field(
        None,
        description="local path or hub name of an image tower, or of a whole CLIP or SigLIP, whose image tower it is "
        "then; its shape replaces the fields below",
    )
    train: TowerTraining = TowerTraining()
    image_size: int = Field(
        224, ge=16, description="input height and width, px; left out: that of the published tower"
    )
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
        if self.pretrained is None and self.image_size % cell:
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
        None,
        description="local path or hub name of a text tower, or of a whole CLIP, whose text tower it is then; its "
        "shape replaces the fields below",
    )
    train: TowerTraining = TowerTraining()
    width: int = Field(512, ge=8, description="hidden size")
    layers: int = Field(4, ge=1, description="number of layers")
    heads: int = Field(8, ge=1, description="attention heads")
    feed_forward: int = Field(2048, ge=8, description="hidden width of the feed-forward layers")
    max_tokens: int = Field(
        60,
        ge=4,
        le=512,
        description="caption length limit, tokens with [CLS] and [SEP]; left out: at most that of the published tower",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of hidden states and attention")

    @model_validator(mode="after")
    def check_heads(self) -> TextTowerConfig:
        """Raise ValueError when the heads do not divide the width."""
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide width {self.width}")
        return self


class ModelConfig(Section):
    """The dual encoder: both towers, the shared embedding space and the temperature."""

    pretrained: str | None = Field(
        None,
        description="local path or hub name of a whole CLIP or SigLIP: both towers, projections and temperature are "
        "its own, a SigLIP's bias too; image.pretrained and text.pretrained are left out",
    )
    image: ImageTowerConfig = ImageTowerConfig()
    text: TextTowerConfig = TextTowerConfig()
    projection_dim: int = Field(
        512, ge=1, description="width of the shared embedding space; left out: that of `pretrained`"
    )
    temperature: float = Field(
        0.07, gt=0, description="initial softmax temperature; with `pretrained` its own stands"
    )
    max_logit_scale: float = Field(
        100.0, gt=0, description="largest inverse temperature; the step clamps to it"
    )

    # Any: values as a recipe holds them, before they are checked.
    @model_validator(mode="before")
    @classmethod
    def take_both_towers(cls, values: Any) -> Any:
        """Name the whole model in both towers' sections. Raises ValueError when one names another checkpoint."""
        whole = values.get("pretrained") if isinstance(values, dict) else None
        if whole is None:
            return values
        taken = dict(values)
        for name in ("image", "text"):
            section = values.get(name, {})
            if not isinstance(section, dict | Section):
                return values  # told with the other mistakes of the section
            given = section if isinstance(section, dict) else section.model_dump(exclude_unset=True)
            if given.get("pretrained") not in (None, whole):
                raise ValueError(
                    f"{name}.pretrained is {given['pretrained']!r} with pretrained {whole!r}, which brings both "
                    "towers; leave out one of them"
                )
            taken[name] = given | {"pretrained": whole}
        return taken

    @property
    def log_max_logit_scale(self) -> float:
        """Largest logarithm of the inverse temperature."""
        return math.log(self.max_logit_scale)
