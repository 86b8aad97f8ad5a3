"""The recipe of the task matcher: BLIP's encoders and its two objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from pipelines.common.config import Section
from pretrain.config import PretrainConfig
from pretrain.matcher_model_config import MatcherModelConfig
from pretrain.model_config import TowerTraining
from pretrain.objectives.image_text_matching import MatchingOptions
from pretrain.objectives.objective import ObjectiveOptions
from pretrain.pixel_statistics import PixelStatistics
from pretrain.tasks.pixel_keys import with_pixels_of


class MatcherObjectives(Section):
    """BLIP's understanding objectives."""

    itc: ObjectiveOptions = Field(
        ObjectiveOptions(), description="image-text contrastive, over the global batch"
    )
    itm: MatchingOptions = Field(
        MatchingOptions(), description="image-text matching, with hard negatives drawn by ITC's similarities"
    )

    @model_validator(mode="after")
    def check_weights(self) -> Self:
        """Raise ValueError when no objective has a weight above 0."""
        if not (self.itc.weight > 0 or self.itm.weight > 0):
            raise ValueError(
                "objectives have no weight above 0; nothing would be learned; set objectives.itm.weight=1"
            )
        return self


class MomentumConfig(Section):
    """ITC against a momentum encoder, as BLIP's pretraining does it."""

    rate: float = Field(
        0.995, gt=0, lt=1, description="share of the momentum encoder's weights that stays in each step"
    )
    queue: int = Field(
        0, ge=0, le=2**24, description="embeddings of earlier steps that are negatives as well"
    )
    soft: float = Field(
        0.4, ge=0, le=1, description="share of the targets that the momentum encoder's similarities make"
    )
    warmup_steps: int = Field(0, ge=0, description="steps in which `soft` rises from 0")


class MatcherConfig(PretrainConfig):
    """The recipe of the task matcher: the shared part, the model and the objectives."""

    model: MatcherModelConfig = MatcherModelConfig()
    objectives: MatcherObjectives = MatcherObjectives()
    momentum: MomentumConfig | None = Field(
        None, description="options of a momentum encoder with a queue and soft targets for ITC; null: none"
    )

    @property
    def image_size(self) -> int:
        """Side of the images that the image encoder takes, px."""
        return self.model.image.image_size

    @property
    def max_tokens(self) -> int:
        """Longest caption that the text encoder takes, tokens."""
        return self.model.text.max_tokens

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels that the image encoder takes."""
        return self.model.image.pixel_statistics

    @property
    def resample(self) -> str:
        """The filter that resizes images: a name of `PIL.Image.Resampling`, in small letters."""
        return self.model.image.resample

    def with_published_inputs(self, earlier: PretrainConfig | None = None) -> Self:
        """Return the recipe with the pixels of the BLIP checkpoint's image processor in the keys that it leaves out.

        `earlier` is the recipe of the run that goes on: it keeps its pixels. See `pixel_keys.with_pixels_of`.
        """
        path = self.model.pretrained
        if path is None:
            return self
        recorded = None
        if isinstance(earlier, MatcherConfig) and earlier.model.pretrained == path:
            recorded = earlier.model.image
        image = with_pixels_of(self.model.image, path, "model.pretrained", recorded)
        return self.model_copy(update={"model": self.model.model_copy(update={"image": image})})

    def published_parts(self) -> dict[str, tuple[str, str]]:
        """Return the BLIP checkpoint that the weights start from."""
        path = self.model.pretrained
        return {} if path is None else {"matcher": (path, "model.pretrained")}

    def with_published_parts(self, folders: Mapping[str, str]) -> Self:
        """Return the recipe with another folder in place of the BLIP checkpoint."""
        model = self.model.model_copy(update={"pretrained": folders["matcher"]})
        return self.model_copy(update={"model": model})

    @model_validator(mode="after")
    def check_momentum(self) -> Self:
        """Raise ValueError for a momentum encoder under ZeRO 3, where no worker has the weights that it follows."""
        if self.momentum is not None and self.engine.zero_stage == 3:
            raise ValueError(
                "engine.zero_stage is 3 with a momentum encoder, which follows whole weights; set engine.zero_stage to "
                "2 or less, or momentum=null"
            )
        return self

    @model_validator(mode="after")
    def check_text(self) -> Self:
        """Raise ValueError where `pretrained` or `train` of `model.text` is set, which a matcher does not read."""
        if self.model.text.train != TowerTraining():
            raise ValueError(
                "model.text.train is set; a matcher trains all its parts at one rate; leave model.text.train out"
            )
        if self.model.text.pretrained is not None:
            raise ValueError(
                f"model.text.pretrained is {self.model.text.pretrained!r}; a matcher starts from a whole BLIP; set "
                "model.pretrained instead"
            )
        return self
