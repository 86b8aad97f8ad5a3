"""The task matcher: BLIP's image and text encoders, learning to contrast (ITC) and to match (ITM)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data_filters import matching
from data_filters.matching import image_embeddings, image_tokens, matching_logits, text_embeddings
from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.models.matcher import build_matcher
from pretrain.models.momentum_encoder import MomentumEncoder
from pretrain.objectives.contrastive import contrastive_loss
from pretrain.objectives.image_text_matching import Candidates, matching_loss
from pretrain.objectives.momentum_contrast import momentum_contrast_loss
from pretrain.ranks import gather_with_gradient
from pretrain.step_context import StepContext
from pretrain.tasks.matcher_config import MatcherConfig
from pretrain.tasks.task import ParameterGroup, Task


@dataclass(frozen=True)
class MatcherFeatures:
    """B pairs: embeddings of norm 1 of both, E values each, and N image tokens of width D."""

    images: Float[Tensor, "B E"]
    texts: Float[Tensor, "B E"]
    tokens: Float[Tensor, "B N D"]


class MatcherTask(Task[MatcherFeatures]):
    """A stock BLIP and the temperature of its contrastive loss; the loss of a step is the weighted sum of ITC and ITM.

    With accumulation the image and text encoders see one micro-batch at a time, the grounded text encoder all of them.
    """

    config_class = MatcherConfig
    required_parts = ("matcher",)

    def __init__(self, config: MatcherConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.first_token_id = first_token_id(config)
        self.weights = {"itc": config.objectives.itc.weight, "itm": config.objectives.itm.weight}
        self.draw_temperature = config.objectives.itm.temperature
        self.highest_logit_scale = config.model.log_max_logit_scale
        self.matcher = build_matcher(config.model, vocabulary_size, load_tokenizer(config.tokenizer))
        self.momentum_config = config.momentum
        self.momentum = (
            None
            if config.momentum is None
            else MomentumEncoder(
                self.matcher,
                config.momentum.rate,
                config.momentum.queue,
                self.matcher.vision_proj.out_features,
            )
        )
        # Shape [1], not []: DeepSpeed's partitioning has no case for a parameter without dimensions.
        self.logit_scale = nn.Parameter(torch.tensor([math.log(1 / config.model.temperature)]))
        if config.engine.activation_checkpointing:
            # By the whole: the text encoder's own class denies that its layers can.
            self.matcher.gradient_checkpointing_enable({"use_reentrant": False})
        if config.engine.compile:
            self.matcher.vision_model.compile()
            self.matcher.text_encoder.compile()

    @classmethod
    def build(cls, config: PretrainConfig, vocabulary_size: int) -> MatcherTask:
        """Build the module that a recipe describes, for a tokenizer of `vocabulary_size` pieces."""
        assert isinstance(config, MatcherConfig)
        return cls(config, vocabulary_size)

    def encode(self, batch: Batch) -> MatcherFeatures:
        """Return the embeddings of both, and the images' tokens, by the encoders that see one of them alone."""
        tokens = image_tokens(self.matcher, batch.pixel_values)
        texts = text_embeddings(self.matcher, batch.input_ids, batch.attention_mask)
        return MatcherFeatures(image_embeddings(self.matcher, tokens), texts, tokens)

    def losses(self, features: MatcherFeatures, batch: Batch, step: StepContext) -> dict[str, Tensor]:
        """Return both losses, their metrics, and the weighted sum as `loss`."""
        values = self._contrasted(features, batch, step)
        total = self.weights["itc"] * values["itc_loss"]
        if self.weights["itm"]:
            own = Candidates(
                features.images,
                features.texts,
                batch.input_ids,
                batch.attention_mask,
                batch.key_hashes,
                batch.image_hashes,
            )
            scale = self.logit_scale.detach().float().exp()
            if self.draw_temperature is not None:
                scale = torch.full_like(scale, 1 / self.draw_temperature)
            values |= matching_loss(self._judge, features.tokens, own, scale, step.shared_seed)
            total = total + self.weights["itm"] * values["itm_loss"]
        return {"loss": total, **values}

    def _contrasted(self, features: MatcherFeatures, batch: Batch, step: StepContext) -> dict[str, Tensor]:
        """ITC over the global batch, or against the momentum encoder and its queue."""
        if self.momentum is None or self.momentum_config is None:
            found = contrastive_loss(features.images, features.texts, self.logit_scale)
            return {name.replace("contrastive", "itc"): value for name, value in found.items()}
        if self.training:
            self.momentum.follow(self.matcher)
        own = self.momentum(self.matcher, batch)
        with torch.no_grad():
            everyone = [gather_with_gradient(embeddings) for embeddings in own]
        *queued, is_filled = self.momentum.queued()
        others = [torch.cat(parts) for parts in zip(everyone, queued, strict=True)]
        there = torch.cat([torch.ones_like(everyone[0][:, 0], dtype=torch.bool), is_filled])
        soft = self.momentum_config.soft
        if self.momentum_config.warmup_steps:
            soft *= min(1.0, step.step / self.momentum_config.warmup_steps)
        values = momentum_contrast_loss(
            features.images, features.texts, own, (others[0], others[1]), there, self.logit_scale, soft
        )
        if self.training:
            self.momentum.enqueue(everyone[0], everyone[1])
        return values

    def _judge(self, tokens: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return matching_logits(self.matcher, tokens, input_ids, attention_mask, self.first_token_id)

    def parameter_limits(self) -> dict[str, float]:
        """Limit the logarithm of the inverse temperature to that of the recipe's `model.max_logit_scale`."""
        return {"logit_scale": self.highest_logit_scale}

    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        """Group parameters: weight decay for matrices; none for biases, norms, position embeddings and temperature.

        `head_rate` has no effect: a matcher has no heads beside its encoders.
        """
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            exempt = parameter.ndim < 2 or "position_embedding" in name or "class_embedding" in name
            groups.setdefault(0.0 if exempt else weight_decay, []).append(parameter)
        return [ParameterGroup(members, decay, 1.0) for decay, members in groups.items()]


def first_token_id(config: MatcherConfig) -> int | None:
    """The number of the recipe's `model.first_token`; None for [CLS], which the tokenizer puts there itself.

    Raises InputError when the tokenizer does not know it.
    """
    token = config.model.first_token
    return matching.first_token_id(
        token,
        load_tokenizer(config.tokenizer).get_vocab(),
        f"model.first_token is {token!r}, which tokenizer {config.tokenizer!r} does not know; set it to [CLS], or "
        "take a tokenizer with that token",
    )
