"""Options of the methods that propose boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section, output_settings
from pipelines.common.explain import validate
from pipelines.common.yaml_line import yaml_line
from pretrain.evaluation.options import one_of

BOX_KINDS = ("spread", "hull")


class ProposalOptions(Section):
    """How boxes are proposed; each method reads the options that concern it, named in parentheses."""

    box: Annotated[str, one_of(BOX_KINDS)] = Field(
        "spread",
        description="box of a group of cells: spread (mean ± 1.73 standard deviations) or hull (all of its cells)",
    )
    level: float | None = Field(
        None,
        gt=0,
        le=1,
        description="threshold of a cell, as a share of the map's maximum; null: the proposer's default",
    )
    evaluations: int = Field(256, ge=4, description="masked copies per image (attribution)")
    ridge: float = Field(
        0.05, ge=0, description="shrinkage of attributions, as a share of the mean diagonal (attribution)"
    )
    clusters: int = Field(8, ge=1, description="groups of cells per image (kmeans)")
    regions: int = Field(
        16, ge=1, description="boxes that are kept per image (regions, saliency, parts, superpixels)"
    )
    suppress_above: float = Field(
        0.7, ge=0, le=1, description="IoU above which the less confident of two boxes goes (regions)"
    )
    contrast: float = Field(
        0.15,
        ge=0,
        le=1.7,
        description="distance from the image's median color above which a pixel is of a part, Euclidean in RGB from "
        "0 to 1 (parts)",
    )
    gap: int = Field(
        0, ge=0, description="pixels of the tower's image that may lie between pixels of one part (parts)"
    )
    superpixel_scale: float = Field(
        100,
        gt=0,
        description="the greater, the larger the superpixels, as scikit-image's `scale` (superpixels)",
    )
    least_area: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="share of the image below which a part is dropped and a superpixel joined to a neighbour "
        "(parts, superpixels)",
    )
    chunk: int = Field(
        256, ge=1, description="masked copies per forward pass", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )


def proposal_options(given: Mapping[str, object]) -> ProposalOptions:
    """Options by name. Raises InputError on an unknown name or a value out of bounds."""
    return validate(ProposalOptions, dict(given), "proposals")


def listed(options: ProposalOptions) -> list[str]:
    """The options that decide the boxes, each as `name=value`: what a result records of them."""
    return [f"{name}={yaml_line(value)}" for name, value in output_settings(options).items()]
