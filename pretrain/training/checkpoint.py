"""Checkpoints of a run: folders RUN/checkpoints/step-00000100/ that are either complete or absent.

A checkpoint is written under a hidden name and renamed when it is complete. It holds the engine's sharded state,
`model.safetensors` (the whole module in fp32) and `state.json` (see `State`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from pretrain.ranks import barrier
from pretrain.training.engine import Engine

FOLDER = "checkpoints"


@dataclass(frozen=True)
class State:
    """The progress of a run at a checkpoint, as `state.json` holds it."""

    step: int
    """Optimiser steps done."""
    ranks: int
    """Number of ranks that wrote the checkpoint."""
    config_hash: str
    bad_samples: int = 0
    """Samples that rank 0 could not read since its start."""


class CheckpointWriter:
    """Writes checkpoints while training continues; keeps the newest `keep` ones, and those of the steps `always`.

    Training waits only until the sharded state is written (the next step changes it) and the weights of the whole
    module are copied. A thread of rank 0 then writes the weights and renames the folder; all shards are in it by then.
    Use it as a context manager: leaving it waits for the checkpoint that is being written.
    """

    def __init__(self, engine: Engine, run: Path, keep: int, always: Collection[int] = ()) -> None:
        self.engine, self.run, self.keep, self.always = engine, run, keep, always
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loupe-checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if self._writing:
            self._writing.result()

    def save(self, state: State) -> None:
        """Start to write the checkpoint of `state`, after the previous one is complete. Every rank must call it."""
        self.finish()
        partial = self.run / FOLDER / f".step-{state.step:08d}.partial"
        if self.engine.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        barrier()
        self.engine.save(partial)
        weights = self.engine.weights()
        barrier()
        if self.engine.rank == 0:
            self._writing = self._thread.submit(self._complete, partial, weights, state)

    def finish(self) -> None:
        """Wait until the last checkpoint is complete; raises the exception of the writing thread, if any."""
        if self._writing:
            self._writing.result()
            self._writing = None

    def _complete(self, partial: Path, weights: dict[str, Tensor], state: State) -> None:
        """Write the weights and `state.json`, rename the folder, and delete checkpoints that are no longer kept."""
        save_file(weights, partial / "model.safetensors")
        (partial / "state.json").write_text(json.dumps(asdict(state), indent=1))
        final = partial.with_name(f"step-{state.step:08d}")
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        removable = [
            folder for folder in list_checkpoints(self.run) if read_state(folder).step not in self.always
        ]
        for old in removable[: -self.keep]:
            shutil.rmtree(old)


def load_checkpoint(engine: Engine, folder: Path) -> State:
    """Restore an engine from a checkpoint, on any number of ranks. Every rank must call it."""
    state = read_state(folder)
    engine.load(folder, state.ranks)
    return state


def read_state(folder: Path) -> State:
    """Read the `state.json` of a checkpoint."""
    return State(**json.loads((folder / "state.json").read_text()))


def list_checkpoints(run: Path) -> list[Path]:
    """Return the folders of a run's complete checkpoints, oldest first."""
    return sorted(folder for folder in (run / FOLDER).glob("step-*") if (folder / "state.json").is_file())
