"""The module that an engine wraps: towers, proxy heads beside them, and the objectives that join them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.config import ImageTowerConfig, PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.objectives import read_objectives
from pretrain.objectives.inputs import Features, Step
from pretrain.supervision.attribution_teacher import AttributionTeacher
from pretrain.supervision.box_ascent import BoxAscent
from pretrain.supervision.shapley_targets import FineGrainedSupervision, build_region_generator
from pretrain.training.accumulation import inner_product


def check_recipe(config: PretrainConfig) -> None:
    """Refuse, before anything is built, objectives and supervision that cannot work.

    Raises InputError on an unknown objective or option, more regions than cells, a budget beyond a worker's regions.
    """
    chosen = read_objectives(config.objectives)
    if not any(objective.supervised or objective.regions for objective, _ in chosen.values()):
        return
    regions, image = config.supervision.regions, config.model.image
    if image.pretrained is None and regions > math.prod(image.grid):
        rows, columns = image.grid
        raise InputError(
            f"supervision.regions is {regions}; allowed are 1 to {rows * columns}, the cells of the {rows}×{columns} "
            f"map of a {image.image_size} px image; lower it or raise model.image.image_size"
        )
    pairs = config.data.batch_size // config.workers.count
    budget = config.supervision.budget
    if budget is not None and budget > pairs * regions:
        raise InputError(
            f"supervision.budget is {budget}; allowed are 1 to {pairs * regions}, "
            f"the regions of a worker's {pairs} pairs; lower it or raise data.batch_size"
        )


class TrainingModule(nn.Module):
    """Forward: a batch → the weighted sum of the objectives (`loss`), each loss and each metric by name."""

    def __init__(self, config: PretrainConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.dual_encoder = DualEncoder(config.model, vocabulary_size)
        self.image_config = config.model.image
        self.objectives = read_objectives(config.objectives)
        # SigLIP's start, at which a batch of mostly negatives is not all surprise.
        self.logit_bias = nn.Parameter(torch.tensor([-10.0])) if "sigmoid" in self.objectives else None
        dim, grid = config.model.projection_dim, self.dual_encoder.grid
        supervised = any(objective.supervised for objective, _ in self.objectives.values())
        self.region_generator = None
        if supervised or any(objective.regions for objective, _ in self.objectives.values()):
            self.region_generator = build_region_generator(config.supervision, dim, grid)
        pairs, tokens = config.data.batch_size // config.workers.count, config.model.text.max_tokens
        self.supervision = (
            FineGrainedSupervision(config.supervision, dim, pairs, tokens) if supervised else None
        )
        options = {name: own for name, (_, own) in self.objectives.items()}
        taught, climbing = options.get("phrase_attribution"), options.get("box_value")
        done = config.start.step
        self.teacher = AttributionTeacher(taught, config.supervision.chunk, done) if taught else None
        self.box_ascent = BoxAscent(climbing) if climbing else None
        if config.engine.activation_checkpointing:
            for tower in (self.dual_encoder.vision_model, self.dual_encoder.text_model):
                tower.gradient_checkpointing_enable({"use_reentrant": False})
        if config.engine.compile:
            self.dual_encoder.vision_model.compile()
            self.dual_encoder.text_model.compile()

    def forward(
        self,
        batch: Batch,
        features: Features | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Losses of a batch; with `only_encode` its features; with `features` the losses that follow from them.

        With `gradients` of the features by name: `loss` is what carries them on into the towers.

        An engine's hooks see only `forward`, so every use of the parameters goes through it.
        """
        if only_encode:
            return self.encode(batch)
        if gradients is not None:
            return {"loss": inner_product(self.encode(batch), gradients)}
        return self.losses(self.encode(batch) if features is None else features, batch)

    def encode(self, batch: Batch) -> Features:
        """Both towers' embeddings and tokens of a batch."""
        pixels, keep = batch.pixel_values, None
        if self.training:
            keep = random_coalitions(len(batch), self.dual_encoder.cells, self.image_config, pixels)
        images, patches = self.dual_encoder.encode_image(pixels, keep)
        texts, words = self.dual_encoder.encode_text(batch.input_ids, batch.attention_mask)
        return Features(images, patches, texts, words, batch.attention_mask)

    def losses(self, features: Features, batch: Batch) -> dict[str, Tensor]:
        """Every objective's dictionary, and their weighted sum under `loss`."""
        encoder, regions = self.dual_encoder, self.region_generator
        supervision = self.supervision and self.supervision(encoder, regions, features, batch)
        box_values = self.box_ascent and self.box_ascent(encoder, regions, features, batch)
        distillation = self.teacher and self.teacher(encoder, regions, features, batch)
        step = Step(features, encoder.logit_scale, self.logit_bias, supervision, box_values, distillation)
        result: dict[str, Tensor] = dict(supervision.metrics) if supervision else {}
        total: Tensor | float = 0.0
        for name, (objective, options) in self.objectives.items():
            values = objective.function(step, options)
            total = total + options.weight * values[f"{name}_loss"]
            result |= values
        return {"loss": torch.as_tensor(total), **result}


def random_coalitions(
    images: int, cells: int, config: ImageTowerConfig, like: Tensor
) -> Float[Tensor, "B C"] | None:
    """Which cells each image keeps: all, or for a `masked_share` of the images a random coalition of them.

    As in FLIP (Li et al., 2023), but dropped cells are zeroed as in the token game and not left out: what the game
    asks of the encoder is then what it has been trained on. Draws from torch's generator of the step.
    """
    if config.masked_share == 0:
        return None
    whole = torch.rand(images, 1, device=like.device) >= config.masked_share
    present = config.masked_least + (1 - config.masked_least) * torch.rand(images, 1, device=like.device)
    return (whole | (torch.rand(images, cells, device=like.device) < present)).to(like.dtype)


def parameter_groups(module: nn.Module, weight_decay: float, head_rate: float = 1.0) -> list[dict[str, Any]]:
    """AdamW groups: weight decay for matrices, none for biases, norms, position embeddings and the temperature.

    A group's `rate` is the factor of the schedule's learning rate: `head_rate` for the proxy heads, 1 for the towers.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        exempt = (
            parameter.ndim < 2 or "position_embeddings" in name or "cls_token" in name or "bias_table" in name
        )
        of_head = not name.startswith(("dual_encoder.", "logit_bias"))
        key = (head_rate if of_head else 1.0, 0.0 if exempt else weight_decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": members, "weight_decay": decay, "rate": rate} for (rate, decay), members in groups.items()
    ]
