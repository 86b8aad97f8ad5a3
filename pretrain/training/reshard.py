"""Makes a run's newest checkpoint loadable on another number of workers (`loupe reshard`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from data_filters.errors import InputError
from pretrain.export.run_folder import read_run
from pretrain.training.checkpoint import find_newest, read_state


@dataclass(frozen=True)
class Resharded:
    """Result of `reshard_run`: `written_by` workers wrote the checkpoint of `step`; `ready_for` workers can load it.

    `converted` is False when the checkpoint could be loaded as it was.
    """

    checkpoint: str
    step: int
    written_by: int
    ready_for: int
    converted: bool


def reshard_run(run: str, world_size: int) -> Resharded:
    """Prepare the newest checkpoint of `run` for `world_size` workers, on CPUs, before GPUs are reserved.

    A run that resumes with another number of workers also converts its checkpoint by itself, but in one process. The
    result can be loaded by any number of workers; `world_size` is only checked against the recipe. Raises InputError
    when the run has no whole checkpoint or `world_size` × `data.accumulation` does not divide the batch.
    """
    config = read_run(run).config
    found = find_newest(Path(run))
    found.warn()
    newest = found.newest
    if newest is None:
        raise InputError(f"run {run!r} has no checkpoint yet; let `loupe pretrain` reach its first one")
    try:
        config.with_workers(world_size)
    except ValueError as error:
        divisor = world_size * config.data.accumulation
        raise InputError(
            f"world_size is {world_size}; with data.accumulation {config.data.accumulation} it must divide "
            f"data.batch_size {config.data.batch_size}, {divisor} does not"
        ) from error
    state = read_state(newest)
    needs_conversion = (
        config.engine.zero_stage > 0 and state.ranks != world_size and (newest / "engine").is_dir()
    )
    if needs_conversion:
        from pretrain.training.engines.deepspeed import write_universal

        write_universal(newest, processes=min(8, os.cpu_count() or 1))
    return Resharded(str(newest), state.step, state.ranks, world_size, needs_conversion)
