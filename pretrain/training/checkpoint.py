"""Checkpoints of a run: RUN/checkpoints/step-00000100/, whole or absent.

A checkpoint is written under a hidden name and renamed when everything is there. It holds the engine's sharded state,
`model.safetensors` (the whole module in fp32) and `state.json` (step, config hash, number of ranks).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from pretrain.training.engine import Engine

FOLDER = "checkpoints"


@dataclass(frozen=True)
class State:
    """Where a run stands: `step` optimiser steps are done."""

    step: int
    ranks: int
    config_hash: str
    bad_samples: int = 0


class CheckpointWriter:
    """Writes checkpoints while training goes on; keeps the newest ones, and those of the steps `always`.

    Training waits for the sharded state alone (it changes with the next step); the weights of the whole module are
    copied and written by a thread of rank 0, which then renames the folder: every shard lay there before it started.
    Use as a context: what is under way is finished on leaving.
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
        """Begin the checkpoint of `state`, after the one before is done. Every rank must call it."""
        self.finish()
        partial = self.run / FOLDER / f".step-{state.step:08d}.partial"
        if self.engine.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        _barrier()
        self.engine.save(partial)
        weights = self.engine.weights()
        _barrier()
        if self.engine.rank == 0:
            self._writing = self._thread.submit(self._complete, partial, weights, state)

    def finish(self) -> None:
        """Wait until the last checkpoint is whole; raises what its writing raised."""
        if self._writing:
            self._writing.result()
            self._writing = None

    def _complete(self, partial: Path, weights: dict[str, Tensor], state: State) -> None:
        save_file(weights, partial / "model.safetensors")
        (partial / "state.json").write_text(json.dumps(asdict(state), indent=1))
        final = partial.with_name(f"step-{state.step:08d}")
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        passing = [
            folder for folder in list_checkpoints(self.run) if read_state(folder).step not in self.always
        ]
        for old in passing[: -self.keep]:
            shutil.rmtree(old)


def load_checkpoint(engine: Engine, folder: Path) -> State:
    """Restore an engine, on any number of ranks. Every rank must call it."""
    state = read_state(folder)
    engine.load(folder, state.ranks)
    return state


def read_state(folder: Path) -> State:
    """The `state.json` of a checkpoint."""
    return State(**json.loads((folder / "state.json").read_text()))


def list_checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(folder for folder in (run / FOLDER).glob("step-*") if (folder / "state.json").is_file())


def _barrier() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
