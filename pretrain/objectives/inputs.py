"""The input that all objectives share: the features of the towers and the targets of the suppliers in one step."""

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
    """Embeddings and tokens of both towers, all unit length. B pairs, C cells, L tokens, D width."""

    images: Float[Tensor, "B D"]
    patches: Float[Tensor, "B C D"]
    texts: Float[Tensor, "B D"]
    words: Float[Tensor, "B L D"]
    attention_mask: Int[Tensor, "B L"]
    whole: bool = True
    """Whether the images were encoded with all their cells."""


@dataclass(frozen=True)
class SemanticTargets:
    """Which phrases belong to which regions, for fine_grained. B pairs, M regions, N phrases, D width."""

    alignment: Float[Tensor, "B M N"]
    """Inner products of regions and phrases."""
    phrases: Float[Tensor, "B N D"]
    """Unit-length mean of each phrase's word tokens; with the targets `absence` and `ends`, the phrase encoded as a
    text of its own."""
    phrase_mask: Bool[Tensor, "B N"]
    by_region: Float[Tensor, "B M N"]
    """Normalised semantic interactions; each row sums to one over real phrases. With `absence` and `ends`, they are
    made of the similarity that each phrase owes to the region."""
    by_phrase: Float[Tensor, "B M N"]
    """The same quantities, normalised so that each column sums to one over known regions."""
    known: Bool[Tensor, "B M"]
    """Regions that have semantic targets in this step."""


@dataclass(frozen=True)
class AddedEmbeddings:
    """What regions add to their images' embeddings, with the targets `absence` and `ends`. B pairs, M regions, D width.

    The product with a text is the region's value for that text.
    """

    embeddings: Float[Tensor, "B M D"]
    """Divided by a power of the region's size, as the targets are; without gradient. Zeros where not known."""
    known: Bool[Tensor, "B M"]
    """Regions that were sampled in this step, or also those predicted (`supervision.predicted_phrases`)."""
    texts: Float[Tensor, "B D"]
    """The captions' embeddings, without gradient: their products with the images' own entries are the targets."""
    rows: str
    """How values become distributions: a key of `ROW_DISTRIBUTIONS`."""


@dataclass(frozen=True)
class ShapleyTargets:
    """Targets of the supplier `shapley`. B pairs, M regions, D width."""

    regions: Regions
    token_labels: Float[Tensor, "B M"]
    """Normalised token interactions, 0..1."""
    supervised: Bool[Tensor, "B M"]
    """Regions that have a label in this step."""
    prediction: Prediction
    token_targets: Float[Tensor, "B M"]
    """Interactions that UNSIL learns to predict, in units of its running scale."""
    sampled: Bool[Tensor, "B M"]
    """Regions whose `token_targets` were sampled in this step."""
    semantic: SemanticTargets | None
    """None where no objective of the recipe reads them."""
    added: AddedEmbeddings | None
    """None with targets that are sampled in coalitions."""
    added_targets: Float[Tensor, "B M D"] | None
    """What UNSIL learns where it predicts embeddings: those sampled in this step, in units of its running scale."""


@dataclass(frozen=True)
class ObjectiveInputs:
    """Everything that an objective may read in one step on one rank."""

    features: Features
    logit_scale: Float[Tensor, "1"]
    """Logarithm of the inverse temperature."""
    logit_bias: Float[Tensor, "1"] | None = None
    """Learned bias of the logits; None unless an objective of the recipe needs it."""
    targets: Mapping[str, object] = field(default_factory=dict)
    """Supplier's name → its targets; None where the supplier makes none in this step."""

    def targets_of(self, supplier: str, kind: type[Targets]) -> Targets | None:
        """Return the targets of a supplier as a `kind`, or None where it makes none in this step.

        An objective reads only suppliers that it names in `needs`.
        """
        targets = self.targets[supplier]
        assert targets is None or isinstance(targets, kind)
        return targets

    def resting(self, objective: str) -> dict[str, Tensor]:
        """Return the loss of an objective in a step in which its supplier makes no targets: 0, without gradient."""
        return {f"{objective}_loss": self.logit_scale.new_zeros(())}

    def required_targets_of(self, supplier: str, kind: type[Targets]) -> Targets:
        """Return the targets of a supplier that makes them in every step (see `targets_of`)."""
        targets = self.targets_of(supplier, kind)
        assert targets is not None
        return targets
