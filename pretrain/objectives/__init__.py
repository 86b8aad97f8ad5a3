"""The objectives by name. A new one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.objectives.box_value import box_value_loss
from pretrain.objectives.contrastive import contrastive_loss
from pretrain.objectives.distributed import longest_of_all_ranks
from pretrain.objectives.fine_grained import fine_grained_loss
from pretrain.objectives.hard_negative import hard_negative_loss
from pretrain.objectives.inputs import Step, Supervision
from pretrain.objectives.late_interaction import late_interaction_loss
from pretrain.objectives.max_pooled import max_pooled_loss
from pretrain.objectives.phrase_attribution import phrase_attribution_loss
from pretrain.objectives.sigmoid import sigmoid_loss
from pretrain.objectives.token_semantics import token_semantics_loss
from pretrain.objectives.unsil import unsil_loss
from pretrain.regions.soft_mask import pool
from pretrain.shapley.games import between_specials


class Options(BaseModel):
    """Options that every objective has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    weight: float = Field(1.0, ge=0, description="factor of the objective's loss in the sum")


class LateInteractionOptions(Options):
    token_share: float = Field(
        1.0, gt=0, le=1, description="share of each item's tokens that travel; FILIP: 0.25"
    )
    wire: Literal["fp32", "fp16", "bf16"] = Field("fp32", description="what tokens travel between ranks in")
    chunk_elements: int | None = Field(
        None, ge=1, description="largest block of token similarities, elements"
    )


class HardNegativeOptions(Options):
    margin: float = Field(0.2, ge=0, description="cosine by which the pair must win")
    negatives: Literal["max", "sum"] = Field(
        "max", description="hardest negative of the batch, or all of them"
    )


class SigmoidOptions(Options):
    chunk: int = Field(4096, ge=1, description="texts whose logits exist at once")


class FineGrainedOptions(Options):
    scale: float = Field(
        1.0, gt=0, description="inverse temperature of the alignment's softmax; the paper: 1"
    )
    moves_boxes: bool = Field(
        True, description="whether the loss reaches the boxes through their masks; the paper: yes"
    )
    both_ways: bool = Field(
        False,
        description="whether phrases choose among regions as well; the paper: regions among phrases alone",
    )


class UnsilOptions(Options):
    beta: float = Field(1.0, gt=0, description="price of uncertainty, eq. 12")


class PhraseAttributionOptions(Options):
    images: int = Field(2, ge=1, description="images a step on each worker that the teacher looks at")
    evaluations: int = Field(
        48, ge=4, description="coalitions of each of those images, for all its phrases together"
    )
    ridge: float = Field(0.05, ge=0, description="shrinkage of the attributions, of the mean diagonal")
    level: float = Field(
        0.25, gt=0, le=1, description="share of the greatest cell from which cells belong to it"
    )
    deviations: float = Field(
        1.73, gt=0, description="half side of a box in standard deviations of its cells"
    )
    trust: float = Field(
        2.0, ge=0, description="standard errors that a phrase's greatest cell must stand out by"
    )
    first_step: int = Field(
        0, ge=0, description="step from which on the teacher is asked; it must know something"
    )
    longest: int = Field(12, ge=3, description="tokens of a phrase by itself, with [CLS] and [SEP]")
    box_weight: float = Field(1.0, ge=0, description="factor of the box loss")
    alignment_weight: float = Field(1.0, ge=0, description="factor of the alignment loss")
    temperature: float = Field(0.1, gt=0, description="softmax temperature of the alignment loss")
    shape: Literal["attribution", "saliency"] = Field(
        "attribution",
        description="what outlines an object: its own attributions, or the part that stands out where most of them lie",
    )
    positives: Literal["cells", "centre"] = Field(
        "cells",
        description="who learns a box: all cells of the object, or the one that holds the box's centre",
    )


class BoxValueOptions(Options):
    regions: int = Field(4, ge=1, description="boxes a step on each worker, each of another image")
    size_exponent: float = Field(
        0.5, ge=0, le=2, description="a box's value is divided by its cells to this power"
    )
    others: Literal["random", "all"] = Field(
        "random", description="which cells outside the box are there: a random coalition, or all of them"
    )


@dataclass(frozen=True)
class Objective:
    """`function(step, options)` returns `{"NAME_loss": ...}` and plain metrics; `options` checks its settings.

    `supervised`: it reads `step.supervision`. `regions`: it teaches the region generator in another way.
    `phrases`: it means nothing on captions without phrases.
    """

    function: Callable[[Step, Any], dict[str, Tensor]]
    options: type[Options] = Options
    supervised: bool = False
    regions: bool = False
    phrases: bool = False


def _contrastive(step: Step, _options: Options) -> dict[str, Tensor]:
    return contrastive_loss(step.features.images, step.features.texts, step.logit_scale)


def _late_interaction(step: Step, options: LateInteractionOptions) -> dict[str, Tensor]:
    features = step.features
    # Ranks pad their captions to their own longest one; what travels must be equally long everywhere.
    length = features.words.shape[1]
    spare = longest_of_all_ranks(length, features.words) - length
    words = F.pad(features.words, (0, 0, 0, spare))
    word_mask = F.pad(between_specials(features.attention_mask), (0, spare))
    wire = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[options.wire]
    return late_interaction_loss(
        features.patches,
        words,
        word_mask,
        step.logit_scale,
        token_share=options.token_share,
        wire_dtype=wire,
        chunk_elements=options.chunk_elements,
    )


def _max_pooled(step: Step, _options: Options) -> dict[str, Tensor]:
    features = step.features
    words = between_specials(features.attention_mask)
    return max_pooled_loss(features.patches, features.words, words, step.logit_scale)


def _hard_negative(step: Step, options: HardNegativeOptions) -> dict[str, Tensor]:
    features = step.features
    return hard_negative_loss(
        features.images, features.texts, margin=options.margin, negatives=options.negatives
    )


def _sigmoid(step: Step, options: SigmoidOptions) -> dict[str, Tensor]:
    assert step.logit_bias is not None  # the training module makes it when this objective is chosen
    features = step.features
    return sigmoid_loss(
        features.images, features.texts, step.logit_scale, step.logit_bias, chunk=options.chunk
    )


def _token_semantics(step: Step, _options: Options) -> dict[str, Tensor]:
    seen = _supervision(step)
    return token_semantics_loss(seen.regions.confidence_logits, seen.token_labels, seen.supervised)


def _fine_grained(step: Step, options: FineGrainedOptions) -> dict[str, Tensor]:
    seen = _supervision(step)
    alignment = seen.alignment
    if not options.moves_boxes:
        # One cell that is nearest to a phrase aligns better than the whole object: free boxes shrink to it.
        regions = pool(step.features.patches, seen.regions.soft_masks.detach())
        alignment = regions.float() @ seen.phrases.float().transpose(1, 2)
    return fine_grained_loss(
        alignment,
        seen.semantic_targets,
        seen.known,
        seen.phrase_mask,
        phrase_targets=seen.phrase_targets if options.both_ways else None,
        scale=options.scale,
    )


def _unsil(step: Step, options: UnsilOptions) -> dict[str, Tensor]:
    seen = _supervision(step)
    return unsil_loss(
        seen.prediction.relative,
        seen.prediction.uncertainty,
        seen.token_targets,
        seen.sampled,
        beta=options.beta,
    )


def _phrase_attribution(step: Step, options: PhraseAttributionOptions) -> dict[str, Tensor]:
    if step.distillation is None:  # before its first step
        return {"phrase_attribution_loss": step.logit_scale.new_zeros(())}
    return phrase_attribution_loss(
        step.distillation,
        box_weight=options.box_weight,
        alignment_weight=options.alignment_weight,
        temperature=options.temperature,
        positives=options.positives,
    )


def _box_value(step: Step, options: BoxValueOptions) -> dict[str, Tensor]:
    assert step.box_values is not None  # the training module makes them when this objective is chosen
    return box_value_loss(step.box_values, size_exponent=options.size_exponent)


def _supervision(step: Step) -> Supervision:
    assert step.supervision is not None  # the training module makes it when an objective asks for it
    return step.supervision


OBJECTIVES: dict[str, Objective] = {
    "contrastive": Objective(_contrastive),
    "sigmoid": Objective(_sigmoid, SigmoidOptions),
    "late_interaction": Objective(_late_interaction, LateInteractionOptions),
    "max_pooled": Objective(_max_pooled),
    "hard_negative": Objective(_hard_negative, HardNegativeOptions),
    "token_semantics": Objective(_token_semantics, supervised=True),
    "fine_grained": Objective(_fine_grained, FineGrainedOptions, supervised=True, phrases=True),
    "unsil": Objective(_unsil, UnsilOptions, supervised=True),
    "box_value": Objective(_box_value, BoxValueOptions, regions=True),
    "phrase_attribution": Objective(
        _phrase_attribution, PhraseAttributionOptions, regions=True, phrases=True
    ),
}


def read_objectives(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Objective, Options]]:
    """The objectives that a recipe names, with their checked options.

    Raises InputError on an unknown name or option, and when no objective has a weight above zero.
    """
    chosen: dict[str, tuple[Objective, Options]] = {}
    for name, options in settings.items():
        if name not in OBJECTIVES:
            near = get_close_matches(name, OBJECTIVES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"objectives.{name} is unknown; allowed are {', '.join(OBJECTIVES)}{hint}")
        objective = OBJECTIVES[name]
        try:
            chosen[name] = (objective, objective.options.model_validate(dict(options)))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            allowed = ", ".join(objective.options.model_fields)
            raise InputError(
                f"objectives.{name}.{place} is {first['input']!r}: {first['msg']}; options are {allowed}"
            ) from error
    if not any(options.weight > 0 for _, options in chosen.values()):
        raise InputError(
            "objectives have no weight above 0; nothing would be learned; set objectives.contrastive.weight=1"
        )
    return chosen
