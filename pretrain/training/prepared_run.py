"""A run whose recipe, data and output folder were checked against each other; every worker gets the same one."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.config import PretrainConfig
from pretrain.data.shards.shard_records import ShardRecord
from pretrain.training.run_record import ShardChange


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
    shards: tuple[ShardRecord, ...]
    """Every shard with its samples, sha256 and witness, in the order in which they are numbered."""
    shares: tuple[int, ...] | None
    """Of each dataset of a mixture its samples in every block of the order; None without weights."""
    changes: tuple[ShardChange, ...] = ()
    """What changed in the data since the run began, and was accepted by the user."""
    steps_done: int = 0
    """Optimiser steps of the newest checkpoint that could be trusted when the run was prepared; 0 without one."""
