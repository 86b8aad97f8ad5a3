"""The options that the tasks with boxes share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.evaluation.localisation import EMBEDDINGS, PROPOSERS
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.options import ExampleOptions, one_of

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
    images: str | None = Field(
        None,
        description="folder of image files or shards for data in COCO's format; null: the folder of the JSON",
    )
