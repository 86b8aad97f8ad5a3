"""The recipe's section `supervision`: regions, the targets of the suppliers, and UNSIL."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section, one_of
from pretrain.models.unsil_bodies import BODIES
from pretrain.regions.pixel_masks import FILLINGS
from pretrain.shapley import ROW_DISTRIBUTIONS, SOFT_LABELS, TARGETS
from pretrain.shapley.games import ABSENT, CONTEXTS

ABSENCE, ENDS = "absence", "ends"
ZERO = "zero"
MAX_POOLED = "max_pooled"
EXACT_TARGETS = {ABSENCE: 1, ENDS: 2}
"""Targets that are not sampled in coalitions → the forwards of a region: what the whole image loses without it; the
mean of that and of what it is worth alone. Forwards of images come on top (`region_values.added_by_regions`)."""


class SupervisionConfig(Section):
    """Settings of the region generator, and of the targets that token_semantics, fine_grained and unsil share.

    `regions`, `suppress_above`, `head_width` and `head_alone` serve every objective with regions, also
    phrase_attribution and box_value; `first_step` serves box_value too, and `chunk` phrase_attribution. All others are
    of the supplier `shapley`.
    """

    regions: int = Field(8, ge=1, description="regions per image, the most confident boxes")
    suppress_above: float | None = Field(
        0.6,
        gt=0,
        le=1,
        description="IoU above which the less confident of two boxes is left out; null: never",
    )
    head_width: int = Field(256, ge=8, description="hidden width of the proxy heads")
    head_alone: bool = Field(
        False,
        description="whether losses of boxes and confidences train the region head alone, and no tower; the paper: no",
    )
    unsil_body: Annotated[str, one_of(BODIES)] = Field(
        "mlp_attention", description="body of UNSIL (paper, appendix D)"
    )
    mode: Literal["hybrid", "sampled"] = Field(
        "hybrid", description="hybrid: UNSIL predicts what it is certain of; sampled: every target is sampled"
    )
    budget: int | None = Field(4, ge=1, description="regions sampled per step on each worker; null: all")
    evaluations: int = Field(
        24,
        ge=12,
        description="coalitions evaluated for each sampled region; target absence: always 1, ends: 2, and up to 2 for "
        "each image of such regions",
    )
    overflow: Literal["predict", "leave"] = Field(
        "predict",
        description="hybrid: regions that the rule sends to sampling beyond the budget are predicted, or have no "
        "target in that step",
    )
    predicted_phrases: bool = Field(
        False,
        description="targets absence and ends: whether predicted regions give phrases targets, not sampled ones alone",
    )
    first_step: int = Field(
        0,
        ge=0,
        description="step from which the suppliers shapley and box_ascent make targets; what needs them rests before",
    )
    warmup_steps: int = Field(
        100, ge=0, description="first steps with targets, of this run, in which nothing is predicted"
    )
    target: Annotated[str, one_of((*TARGETS, *EXACT_TARGETS))] = Field(
        "interaction",
        description="quantity of the token game that regions learn (absence, ends: phrases too); the paper: "
        "interaction",
    )
    fill: Annotated[str, one_of((ZERO, *FILLINGS))] = Field(
        ZERO,
        description="what stands for missing cells: zero (no patch embedding; the paper); with the targets absence and "
        "ends also median (the image's median color) or blur, and regions are boxes of pixels then",
    )
    pooling: Literal["embedding", "max_pooled"] = Field(
        "embedding",
        description="targets absence and ends: what images and texts are embedded by, as in phrase_contrast",
    )
    context: Annotated[str, one_of(CONTEXTS)] = Field(
        "players", description="whether words play too; the paper: players"
    )
    size_exponent: float = Field(
        0.0, ge=0, le=2, description="targets are divided by cells ** this; the paper: 0"
    )
    labels: Annotated[str, one_of(SOFT_LABELS)] = Field(
        "minmax", description="how targets become labels in 0..1"
    )
    rows: Annotated[str, one_of(ROW_DISTRIBUTIONS)] = Field(
        "positive", description="how semantic interactions become distributions over phrases"
    )
    absent: Annotated[str, one_of(ABSENT)] = Field(
        "zero", description="how an absent region or phrase leaves the game"
    )
    game_scale: float = Field(
        1.0, gt=0, description="factor of the alignment inside the semantic game; the paper: 1"
    )
    chunk: int = Field(
        256,
        ge=1,
        description="masked inputs per forward pass; bounds memory",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )

    @model_validator(mode="after")
    def check_fill(self) -> Self:
        """Raise ValueError where coalitions of cells would have to be filled in pixels, or pooled by the maximum."""
        if self.fill != ZERO and self.target not in EXACT_TARGETS:
            raise ValueError(
                f"fill is {self.fill} with target: {self.target}, whose coalitions are of cells; set fill: zero, or "
                f"target to {' or '.join(EXACT_TARGETS)}"
            )
        if self.pooling == MAX_POOLED and self.target not in EXACT_TARGETS:
            raise ValueError(
                f"pooling is {self.pooling} with target: {self.target}, which the token game values by embeddings; "
                f"leave it out, or set target to {' or '.join(EXACT_TARGETS)}"
            )
        return self
