"""What the towers and the supervision make of a batch: the common input of the objectives."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.models.region_generator import Regions
from pretrain.models.unsil import Prediction
from pretrain.objectives.box_value import BoxValues
from pretrain.objectives.phrase_attribution import Distillation


@dataclass(frozen=True)
class Features:
    """Embeddings and tokens, all unit length. B pairs, C cells, L tokens, D width."""

    images: Float[Tensor, "B D"]
    patches: Float[Tensor, "B C D"]
    texts: Float[Tensor, "B D"]
    words: Float[Tensor, "B L D"]
    attention_mask: Int[Tensor, "B L"]


@dataclass(frozen=True)
class Supervision:
    """What the fine-grained objectives read. M regions, N phrases."""

    regions: Regions
    token_labels: Float[Tensor, "B M"]
    """Normalised token interactions, 0..1."""
    supervised: Bool[Tensor, "B M"]
    """Regions that have a label this step."""
    prediction: Prediction
    token_targets: Float[Tensor, "B M"]
    """Interactions in units of UNSIL's running scale: what it learns."""
    sampled: Bool[Tensor, "B M"]
    """Where `token_targets` was computed this step."""
    alignment: Float[Tensor, "B M N"]
    phrases: Float[Tensor, "B N D"]
    """Unit-length mean of each phrase's word tokens; with target absence the phrase as a text by itself."""
    phrase_mask: Bool[Tensor, "B N"]
    semantic_targets: Float[Tensor, "B M N"]
    """Normalised semantic interactions, rows summing to one over real phrases. With target absence: what each phrase
    loses with the region."""
    phrase_targets: Float[Tensor, "B M N"]
    """The same, columns summing to one over known regions."""
    known: Bool[Tensor, "B M"]
    """Regions that have semantic targets this step."""
    metrics: dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """Everything that an objective may use. `supervision` is None where no objective of the recipe needs it."""

    features: Features
    logit_scale: Float[Tensor, "1"]
    """Logarithm of the inverse temperature."""
    logit_bias: Float[Tensor, "1"] | None
    """The sigmoid objective's bias; None without that objective."""
    supervision: Supervision | None
    box_values: BoxValues | None
    """None unless the recipe has box_value."""
    distillation: Distillation | None
    """None unless the recipe has phrase_attribution and its first step has come."""
