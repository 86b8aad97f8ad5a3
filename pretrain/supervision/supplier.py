"""Defines `Supplier`: a module that makes targets of objectives from the features of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from pretrain.data.samples.batch import Batch
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.objectives.inputs import Features
from pretrain.objectives.objective import ObjectiveOptions
from pretrain.step_context import StepContext
from pretrain.supervision.config import SupervisionConfig

Options = TypeVar("Options", bound=ObjectiveOptions)


@dataclass(frozen=True)
class SupplierSetting:
    """The values of a recipe from which a supplier is built."""

    config: SupervisionConfig
    options: Mapping[str, ObjectiveOptions]
    """Options of the recipe's objectives that need this supplier, by the objective's name."""
    dim: int
    """Width of the shared embedding space."""
    pairs: int
    """Pairs of one rank per step."""
    max_tokens: int
    """Longest caption, tokens."""
    first_step: int = 0
    """The run's first step: above 0 when the run starts from the checkpoint of another run."""

    def options_of(self, objective: str, kind: type[Options]) -> Options:
        """Return the options of an objective as a `kind`."""
        options = self.options[objective]
        assert isinstance(options, kind)
        return options


@dataclass(frozen=True)
class SupplierInputs:
    """What a supplier may read in a step: the models, this rank's batch, and the features of that batch."""

    encoder: DualEncoder
    region_generator: RegionGenerator | None
    """None unless a supplier of the recipe has `uses_regions`."""
    features: Features
    batch: Batch


@dataclass(frozen=True)
class Supplied:
    """A supplier's result in one step: targets (None when it makes none in this step) and metrics by name."""

    targets: object | None
    metrics: dict[str, Tensor] = field(default_factory=dict)


class Supplier(nn.Module, ABC):
    """Makes targets for the objectives that name it in `needs`.

    A supplier's own parameters and buffers are trained and saved with the task. The encoder and the region generator
    are arguments of `forward`, not submodules. It must run the same number of forward passes on every rank.
    """

    uses_regions: ClassVar[bool] = False
    """Whether the supplier needs the region generator."""

    @classmethod
    @abstractmethod
    def build(cls, setting: SupplierSetting) -> Supplier:
        """Build the supplier that a recipe describes."""

    @abstractmethod
    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        """Return the targets for this rank's pairs.

        All random draws must come from `step.generator`, or, by the pairs' keys, from `step.shared_seed`.
        """
