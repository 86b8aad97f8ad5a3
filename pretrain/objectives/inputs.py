"""The common input of the objectives: the towers' features and the suppliers' targets of one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.models.region_generator import Regions
from pretrain.models.unsil import Prediction

Targets = TypeVar("Targets")


@dataclass(frozen=True)
class Features:
    """Embeddings and tokens, all unit length. B pairs, C cells, L tokens, D width."""

    images: Float[Tensor, "B D"]
    patches: Float[Tensor, "B C D"]
    texts: Float[Tensor, "B D"]
    words: Float[Tensor, "B L D"]
    attention_mask: Int[Tensor, "B L"]


@dataclass(frozen=True)
class ShapleyTargets:
    """What the supplier `shapley` computes and token_semantics, fine_grained and unsil read. M regions, N phrases."""

    regions: Regions
    token_labels: Float[Tensor, "B M"]
    """Normalised token interactions, 0..1."""
    supervised: Bool[Tensor, "B M"]
    """Regions that have a label in this step."""
    prediction: Prediction
    token_targets: Float[Tensor, "B M"]
    """Interactions in units of UNSIL's running scale: UNSIL's regression targets."""
    sampled: Bool[Tensor, "B M"]
    """Where `token_targets` was computed in this step."""
    alignment: Float[Tensor, "B M N"]
    phrases: Float[Tensor, "B N D"]
    """Unit-length mean of each phrase's word tokens; with target `absence`, the phrase encoded as a text by itself."""
    phrase_mask: Bool[Tensor, "B N"]
    semantic_targets: Float[Tensor, "B M N"]
    """Normalised semantic interactions, rows summing to one over real phrases. With target `absence`: what each phrase
    loses with the region."""
    phrase_targets: Float[Tensor, "B M N"]
    """The same, columns summing to one over known regions."""
    known: Bool[Tensor, "B M"]
    """Regions that have semantic targets in this step."""


@dataclass(frozen=True)
class ObjectiveInputs:
    """Everything that an objective may read in one step."""

    features: Features
    logit_scale: Float[Tensor, "1"]
    """Logarithm of the inverse temperature."""
    logit_bias: Float[Tensor, "1"] | None = None
    """Learned bias of the logits; None unless an objective of the recipe needs it."""
    targets: Mapping[str, object] = field(default_factory=dict)
    """Supplier's name → its targets; None where a supplier does not answer in this step."""

    def targets_of(self, supplier: str, kind: type[Targets]) -> Targets | None:
        """The targets of a supplier, which are a `kind`, or None where it does not answer in this step.

        An objective reads only suppliers that it names in `needs`.
        """
        targets = self.targets[supplier]
        assert targets is None or isinstance(targets, kind)
        return targets

    def required_targets_of(self, supplier: str, kind: type[Targets]) -> Targets:
        """As `targets_of`, for a supplier that answers in every step."""
        targets = self.targets_of(supplier, kind)
        assert targets is not None
        return targets
