"""The recipe's section `supervision`: regions, Shapley targets and UNSIL."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.common.config import Section


class SupervisionConfig(Section):
    """Regions, Shapley targets and UNSIL: settings that token_semantics, fine_grained and unsil share."""

    regions: int = Field(8, ge=1, description="regions per image, the most confident boxes")
    suppress_above: float | None = Field(
        0.6,
        gt=0,
        le=1,
        description="IoU above which the less confident of two boxes is left out; null: never",
    )
    head_width: int = Field(256, ge=8, description="hidden width of the proxy heads")
    unsil_body: Literal["mlp_attention", "conv1d", "transformer"] = Field(
        "mlp_attention", description="body of UNSIL (paper, appendix D)"
    )
    mode: Literal["hybrid", "sampled"] = Field(
        "hybrid", description="hybrid: UNSIL predicts what it is certain of; sampled: every target is sampled"
    )
    budget: int | None = Field(4, ge=1, description="regions sampled per step on each worker; null: all")
    evaluations: int = Field(
        24, ge=12, description="coalitions evaluated for each sampled region; target absence: always 2"
    )
    warmup_steps: int = Field(100, ge=0, description="first steps in which nothing is predicted")
    target: Literal["interaction", "abs_interaction", "value", "absence"] = Field(
        "interaction",
        description="quantity of the token game that regions learn (absence: phrases too); the paper: interaction",
    )
    context: Literal["players", "full_text"] = Field(
        "players", description="whether words play too; the paper: players"
    )
    size_exponent: float = Field(
        0.0, ge=0, le=2, description="targets are divided by cells ** this; the paper: 0"
    )
    labels: Literal["minmax", "positive", "logistic", "rank"] = Field(
        "minmax", description="how targets become labels in 0..1"
    )
    rows: Literal["positive", "shifted", "softmax"] = Field(
        "positive", description="how semantic interactions become distributions over phrases"
    )
    absent: Literal["zero", "drop"] = Field(
        "zero", description="how an absent region or phrase leaves the game"
    )
    game_scale: float = Field(
        1.0, gt=0, description="factor of the alignment inside the semantic game; the paper: 1"
    )
    chunk: int = Field(256, ge=1, description="masked inputs per forward pass; bounds memory")
