"""The targets of regions by name: three quantities from the same coalition evaluations."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.sampled import MergedEstimate

TARGETS: dict[str, Callable[[MergedEstimate], tuple[Tensor, Tensor]]] = {
    # The paper's I([R]), eq. 6. Negative where a region's cells can replace each other, positive where they need
    # each other: on small regions its magnitude indicates objects rather than its sign.
    "interaction": lambda estimate: (estimate.interaction, estimate.interaction_error),
    # Noise has a positive magnitude: |I| of a region without interaction is about 0.8 standard errors, not 0.
    "abs_interaction": lambda estimate: (estimate.interaction.abs(), estimate.interaction_error),
    # φ([R]), the Shapley value of the region as one player; the only one that needs no members alone.
    "value": lambda estimate: (estimate.value, estimate.value_error),
}


def region_targets(
    estimate: MergedEstimate, target: str = "interaction", size_exponent: float = 0.0
) -> tuple[Float[Tensor, "B R"], Float[Tensor, "B R"]]:
    """The chosen target of every region and its standard error, divided by (number of cells) ** `size_exponent`.

    With exponent 0 the target is as sampled, and a value increases with the size of the region; 1 is the target per
    cell, which is highest for the smallest region with the best cell; 0.5 lies between. Whether words play too is the
    game's `context`. Empty regions are 0. Raises InputError for an unknown target, naming the known ones, and for a
    target that `estimate` does not hold.
    """
    if target not in TARGETS:
        raise InputError(f"target is {target!r}; allowed are {', '.join(map(repr, TARGETS))}")
    quantity, error = TARGETS[target](estimate)
    if quantity.isnan().any():
        raise InputError(f"target is {target!r}, but only values were sampled; use members_alone=True")
    error = per_size(error, estimate.size, size_exponent)
    return per_size(quantity, estimate.size, size_exponent), error.masked_fill(estimate.size == 0, 0)


def per_size(
    quantity: Float[Tensor, "B R"], size: Int[Tensor, "B R"] | Float[Tensor, "B R"], exponent: float
) -> Float[Tensor, "B R"]:
    """A quantity of regions of `size` cells, divided by size ** `exponent`."""
    return quantity / size.clamp(min=1).to(quantity.dtype) ** exponent
