"""The options that the tasks with boxes share."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from data_filters.errors import InputError
from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.evaluation.localisation import EMBEDDINGS, PROPOSERS
from pretrain.evaluation.localisation.judge import COVERS, FILLS, Judge
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.options import ExampleOptions, one_of
from pretrain.evaluation.token_encoder import POOLING_HELP, POOLINGS

PROPOSAL_RECORD = dict.fromkeys(ProposalOptions.model_fields, "options")
"""`EvaluationTask.recorded_as` of the proposals' options: `proposal_options.listed` records them in one list."""

SCENE_RECORD = {**PROPOSAL_RECORD, "images": "image_folder"}
"""The same of `SceneOptions`; `images` is the number of images."""


class LocalisationOptions(ExampleOptions, ProposalOptions):
    """Where boxes come from. `batch_size` counts masked images."""

    batch_size: int = Field(
        256, ge=1, description="masked images per forward pass", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    proposals: Annotated[str | None, one_of(PROPOSERS)] = Field(
        None,
        description=f"where boxes come from: {', '.join(PROPOSERS)}; null: the region head where the export has "
        "one, else a method that needs no training",
    )

    def for_proposals(self) -> ProposalOptions:
        """The options of the proposer, with `batch_size` masked copies per forward pass unless `chunk` is set."""
        values = self.model_dump(include=set(ProposalOptions.model_fields))
        if "chunk" not in self.model_fields_set:
            values["chunk"] = self.batch_size
        return ProposalOptions.model_validate(values)


class SceneOptions(LocalisationOptions):
    """Options of the tasks that compare boxes with texts on images with known objects."""

    embedding: Annotated[str, one_of(EMBEDDINGS)] = Field(
        "alone", description=f"what of a box is compared with a text: {', '.join(EMBEDDINGS)}"
    )
    cover: Annotated[str, one_of(COVERS)] = Field(
        "centre",
        description="what a box has of the image: centre (cells whose centre lies in it), touched (all that it "
        "reaches into), pixels",
    )
    fill: Annotated[str, one_of(FILLS)] = Field(
        "zero",
        description="what stands for the rest: zero (no patch embedding), median (the image's median color), blur",
    )
    pooling: Annotated[str, one_of(POOLINGS)] = Field("embedding", description=POOLING_HELP)
    size_exponent: float = Field(
        0.0, ge=0, le=2, description="embedding ends: values are divided by a box's cells to this power"
    )
    images: str | None = Field(
        None,
        description="folder of image files or shards for data in COCO's format; null: the folder of the JSON",
    )

    @model_validator(mode="after")
    def check_judge(self) -> Self:
        """Raise ValueError where cover and fill do not go together."""
        try:
            self.judge()
        except InputError as error:
            raise ValueError(str(error)) from error
        return self

    def judge(self) -> Judge:
        """How boxes are compared with texts."""
        return Judge(self.embedding, self.cover, self.fill, self.pooling, self.size_exponent)


def judge_record(options: SceneOptions) -> dict[str, str | float]:
    """The judge as `metrics.json` records it."""
    names = ("embedding", "cover", "fill", "pooling", "size_exponent")
    return {name: getattr(options, name) for name in names}
