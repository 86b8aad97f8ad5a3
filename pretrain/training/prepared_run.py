"""A run whose recipe, data and output folder were checked against each other: what every worker of it agrees on."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.config import PretrainConfig


@dataclass(frozen=True)
class PreparedRun:
    """What every worker of a run agrees on."""

    config: PretrainConfig
    data: tuple[str, ...]
    """`URI` or `URI=WEIGHT` of each dataset; local paths are absolute."""
    folder: str
    """RUN, an absolute local path."""
    total_steps: int
    """Optimiser steps from the start of the data to the end of the run."""
    config_hash: str
    """Hash of all that decides what is learned."""
