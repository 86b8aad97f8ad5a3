"""The recipe of the task dual_encoder: towers, objectives with their options, supervision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, SerializerFunctionWrapHandler, create_model, model_serializer, model_validator

from pipelines.common.config import Section
from pretrain.config import PretrainConfig
from pretrain.model_config import ModelConfig
from pretrain.objectives import OBJECTIVES
from pretrain.objectives.objective import ObjectiveOptions
from pretrain.objectives.phrase_contrast import PhraseContrastOptions
from pretrain.pixel_statistics import PixelStatistics
from pretrain.supervision import SUPPLIERS
from pretrain.supervision.config import EXACT_TARGETS, SupervisionConfig
from pretrain.tasks.published_inputs import check_published, tokenizer_of, with_inputs_of

OF_WHOLE_TEXTS = ("contrastive", "sigmoid", "hard_negative")
"""Objectives that read the embeddings of whole captions alone; all others read words or phrases."""


class ChosenObjectives(Section):
    """The objectives of a recipe: one optional section for each entry of `OBJECTIVES`."""

    def chosen(self) -> dict[str, ObjectiveOptions]:
        """Return name → options of the objectives that the recipe names, in the order of `OBJECTIVES`."""
        return {name: options for name in OBJECTIVES if (options := getattr(self, name)) is not None}

    @model_serializer(mode="wrap")
    def dump_chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Dump only the chosen objectives, so that the others take no part in the recipe's record and hash."""
        return {name: options for name, options in handler(self).items() if options is not None}

    @model_validator(mode="after")
    def check_weights(self) -> Self:
        """Raise ValueError when no objective has a weight above 0."""
        if not any(options.weight > 0 for options in self.chosen().values()):
            raise ValueError(
                "objectives have no weight above 0; nothing would be learned; set objectives.contrastive.weight=1"
            )
        return self


if TYPE_CHECKING:
    ObjectivesConfig = ChosenObjectives
else:
    # One field per objective, so that names, options and limits are checked and listed like all other keys.
    ObjectivesConfig = create_model(
        "ObjectivesConfig",
        __base__=ChosenObjectives,
        __module__=__name__,
        **{
            name: (objective.options | None, Field(None, description=f"options of {name}; null: left out"))
            for name, objective in OBJECTIVES.items()
        },
    )


def default_objectives() -> ChosenObjectives:
    """Return a section with the contrastive objective only."""
    return ObjectivesConfig.model_validate({"contrastive": {}})


class DualEncoderConfig(PretrainConfig):
    """The recipe of the task dual_encoder: the shared part, the model, the objectives and the supervision."""

    model: ModelConfig = ModelConfig()
    objectives: ObjectivesConfig = Field(
        default_factory=default_objectives, description="what is learned: a section for each objective"
    )
    supervision: SupervisionConfig = SupervisionConfig()

    @property
    def image_size(self) -> int:
        """Side of the images that the image tower takes, px."""
        return self.model.image.image_size

    @property
    def max_tokens(self) -> int:
        """Longest caption that the text tower takes, tokens."""
        return self.model.text.max_tokens

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels that the image tower takes."""
        return self.model.image.pixel_statistics

    @property
    def resample(self) -> str:
        """The filter that resizes images: a name of `PIL.Image.Resampling`, in small letters."""
        return self.model.image.resample

    def with_published_inputs(self, earlier: PretrainConfig | None = None) -> Self:
        """Return the recipe with the inputs of its published towers in the keys that it leaves out.

        Pixels are those of the image processor, the image size and the longest text those of the towers, the tokenizer
        is the text tower's, the width that of a whole model's space. `earlier` is the recipe of the run that goes on:
        it keeps its own, whatever lies beside the towers now. Where a tower has no image processor the defaults stay,
        and a warning says so. Raises InputError when a tower cannot be loaded, or has no tokenizer.
        """
        recorded = earlier.model if isinstance(earlier, DualEncoderConfig) else None
        changed: dict[str, object] = {"model": with_inputs_of(self.model, recorded)}
        if self.model.text.pretrained is not None and "tokenizer" not in self.model_fields_set:
            changed["tokenizer"] = tokenizer_of(self.model) if earlier is None else earlier.tokenizer
        return self.model_copy(update=changed)

    def check_published_parts(self) -> None:
        """Raise InputError when published towers do not fit the recipe."""
        words_are_read = [name for name in self.objectives.chosen() if name not in OF_WHOLE_TEXTS]
        check_published(
            self.model,
            self.tokenizer,
            recomputes=self.engine.activation_checkpointing,
            words_are_read=words_are_read,
            regions=self.supervision.regions if self.uses_regions else None,
        )

    def published_parts(self) -> dict[str, tuple[str, str]]:
        """Return the published towers."""
        towers = {"image": self.model.image.pretrained, "text": self.model.text.pretrained}
        return {name: (path, f"model.{name}.pretrained") for name, path in towers.items() if path is not None}

    def with_published_parts(self, folders: Mapping[str, str]) -> Self:
        """Return the recipe with other folders in place of published towers."""
        towers = {
            name: getattr(self.model, name).model_copy(update={"pretrained": folder})
            for name, folder in folders.items()
        }
        # Without `pretrained`: the whole's projections and temperature come of the checkpoint, as all weights do.
        model = self.model.model_copy(update={**towers, "pretrained": None})
        return self.model_copy(update={"model": model})

    @property
    def objectives_with_phrases(self) -> tuple[str, ...]:
        """Names of the recipe's objectives that are undefined on captions without phrases."""
        return tuple(
            name
            for name, options in self.objectives.chosen().items()
            if OBJECTIVES[name].phrases or options.needs_phrases
        )

    @property
    def suppliers(self) -> tuple[str, ...]:
        """Names of the suppliers that the recipe's objectives need, in the order of `SUPPLIERS`."""
        needs = {
            need
            for name, options in self.objectives.chosen().items()
            for need in OBJECTIVES[name].needs_with(options)
        }
        return tuple(name for name in SUPPLIERS if name in needs)

    @property
    def uses_regions(self) -> bool:
        """Whether the recipe trains a region generator."""
        return any(SUPPLIERS[name].uses_regions for name in self.suppliers)

    @property
    def heads_from_step(self) -> int:
        """First step in which the region head and UNSIL have targets: that of the supervision, or 0 with a teacher.

        A ZeRO 3 engine cannot hold back single parameters: there it is always 0.
        """
        if not self.uses_regions or "attribution_teacher" in self.suppliers or self.engine.zero_stage == 3:
            return 0
        return self.supervision.first_step

    @property
    def pairs_per_worker(self) -> int:
        """Pairs of one worker per step, over all its micro-batches."""
        return self.data.batch_size // self.workers.count

    @model_validator(mode="after")
    def check_credit(self) -> Self:
        """Raise ValueError where phrases would be credited by targets that are none of theirs."""
        phrases, supervision = self.objectives.chosen().get("phrase_contrast"), self.supervision
        if not isinstance(phrases, PhraseContrastOptions) or phrases.credit != "shapley":
            return self
        if supervision.target not in EXACT_TARGETS:
            raise ValueError(
                f"objectives.phrase_contrast.credit is shapley with supervision.target {supervision.target}, which has "
                f"no value for a phrase; set supervision.target to {' or '.join(EXACT_TARGETS)}, or credit to best"
            )
        if supervision.pooling != phrases.text:
            raise ValueError(
                f"objectives.phrase_contrast.text is {phrases.text} and supervision.pooling {supervision.pooling}, but "
                "with credit: shapley both embed the same phrases; give both the same value"
            )
        return self

    @model_validator(mode="after")
    def check_regions(self) -> Self:
        """Raise ValueError when regions exceed the map's cells, or the budget a worker's regions per step."""
        if not self.uses_regions:
            return self
        regions, image = self.supervision.regions, self.model.image
        if image.pretrained is None and regions > math.prod(image.grid):
            rows, columns = image.grid
            raise ValueError(
                f"supervision.regions is {regions}; allowed are 1 to {rows * columns}, the cells of the "
                f"{rows}×{columns} map of a {image.image_size} px image; lower it or raise model.image.image_size"
            )
        budget, most = self.supervision.budget, self.pairs_per_worker * regions
        if budget is not None and budget > most:
            raise ValueError(
                f"supervision.budget is {budget}; allowed are 1 to {most}, "
                f"the regions of a worker's {self.pairs_per_worker} pairs; lower it or raise data.batch_size"
            )
        return self

    @model_validator(mode="after")
    def check_locks(self) -> Self:
        """Raise ValueError when locks leave nothing to learn, or ZeRO 3 would have to keep a locked tower."""
        image, text = self.model.image.train, self.model.text.train
        if image.from_step is None and text.from_step is None:
            raise ValueError(
                "model.image.train.from_step and model.text.train.from_step are null: with both towers locked for ever "
                "nothing of them is left to train; set one of them to a step, such as 0"
            )
        if self.engine.zero_stage == 3 and (image.from_step, text.from_step) != (0, 0):
            raise ValueError(
                "engine.zero_stage is 3 with a locked tower (model.image.train.from_step, model.text.train.from_step); "
                "allowed are 0 to 2; set engine.zero_stage=2"
            )
        return self
