"""A run whose recipe, data and output folder were checked against each other; every worker gets the same one."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.config import PretrainConfig


@dataclass(frozen=True)
class PreparedRun:
    """Recipe, data, output folder and length of a run, the same on every worker (see `setup.prepare_run`)."""

    config: PretrainConfig
    data: tuple[str, ...]
    """`URI` or `URI=WEIGHT` of each dataset; local paths are absolute."""
    folder: str
    """RUN, the output folder; an absolute local path."""
    total_steps: int
    """Optimiser steps from the start of the data to the end of the run."""
    config_hash: str
    """Hash of everything that decides what is learned (see `setup.learning_hash`)."""
