"""The region generator of an export: its file, and how it is built from weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pretrain.models.region_generator import RegionGenerator

WEIGHTS = "region_head.safetensors"
DESCRIPTION = "region_head.json"


def build_region_head(weights: Mapping[str, Tensor], dim: int, grid: tuple[int, int]) -> RegionGenerator:
    """A region generator with these weights for patch tokens of width `dim` on a grid of (rows, columns) cells.

    Every cell is a candidate: whoever uses the boxes selects among them. Raises KeyError or RuntimeError when the
    weights are not those of a region generator of that shape.
    """
    width = weights["out.weight"].shape[1]
    head = RegionGenerator(dim, grid, grid[0] * grid[1], width=width)
    head.load_state_dict(dict(weights))
    return head
