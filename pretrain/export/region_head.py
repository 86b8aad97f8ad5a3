"""The region generator of an export: its file, and how it is built from weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from data_filters.errors import InputError
from pretrain.models.region_generator import RegionGenerator

WEIGHTS = "region_head.safetensors"
DESCRIPTION = "region_head.json"


def build_region_head(
    weights: Mapping[str, Tensor], dim: int, grid: tuple[int, int], source: str
) -> RegionGenerator:
    """A region generator with these weights for patch tokens of width `dim` on a grid of (rows, columns) cells.

    Every cell is a candidate: whoever uses the boxes selects among them. `source` names the file or the run that the
    weights are from. Raises InputError when they are not those of a region generator of that shape.
    """
    try:
        width = weights["out.weight"].shape[1]
        head = RegionGenerator(dim, grid, grid[0] * grid[1], width=width)
        head.load_state_dict(dict(weights))
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{source}: the region generator is not one that this version knows ({reason}); "
            "export with the version that trained it"
        ) from error
    return head
