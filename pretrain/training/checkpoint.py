"""Checkpoints of a run: folders RUN/checkpoints/step-00000100/, which are verified before they are trusted.

A checkpoint is written under a hidden name, and renamed when it is complete and on the disk. It holds the engine's
sharded state, `model.safetensors` (the whole module in fp32) and `state.json` (see `State`, and the list of files).
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from data_filters.errors import InputError
from pipelines.common.files import sync_folder, sync_tree
from pretrain.ranks import barrier
from pretrain.training.checkpoint_files import STATE, WEIGHTS, fault_of, list_files
from pretrain.training.engine import Engine

FOLDER, NAMES = "checkpoints", "step-[0-9]*[0-9]"

logger = logging.getLogger(__name__)


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
    module are copied. A thread of rank 0 then writes the weights, reads all files back for their hashes, and renames
    the folder; all shards are in it by then. Use it as a context manager: leaving it waits for the checkpoint that is
    being written. `damaged` folders do not count as kept; each is deleted once a checkpoint of its step or a later one
    is complete.
    """

    def __init__(
        self,
        engine: Engine,
        run: Path,
        keep: int,
        always: Collection[int] = (),
        damaged: Collection[Path] = (),
    ) -> None:
        self.engine, self.run, self.keep, self.always = engine, run, keep, always
        self._damaged = set(damaged)
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
        save_file(weights, partial / WEIGHTS)
        document = asdict(state) | {"files": list_files(partial)}
        (partial / STATE).write_text(json.dumps(document, indent=1))
        sync_tree(partial)
        final = partial.with_name(f"step-{state.step:08d}")
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync_folder(final.parent)
        for folder in [folder for folder in self._damaged if folder.name <= final.name]:
            self._damaged.remove(folder)
            if folder != final:
                shutil.rmtree(folder, ignore_errors=True)
        removable = [
            folder
            for folder in list_checkpoints(self.run)
            if folder not in self._damaged and step_of(folder) not in self.always
        ]
        for old in removable[: -self.keep]:
            shutil.rmtree(old)


@dataclass(frozen=True)
class Found:
    """The newest checkpoint that can be trusted, None in a run that has none; damaged folders → what is wrong."""

    newest: Path | None
    damaged: dict[Path, str]

    @property
    def step(self) -> int:
        """Optimiser steps done at the newest checkpoint; 0 where there is none."""
        return 0 if self.newest is None else step_of(self.newest)

    def warn(self) -> None:
        """Log one line that names the damaged folders, their faults, and the checkpoint that is used instead."""
        if self.damaged and self.newest:
            logger.warning("%s; %s is used instead", _faults(self.damaged), self.newest.name)


def find_newest(run: Path, *, only_weights: bool = False) -> Found:
    """Verify a run's checkpoints from the newest on, until one can be trusted (`only_weights`: see `fault_of`).

    Raises InputError when there are checkpoints and all are damaged: a run must not start from nothing unasked.
    """
    damaged: dict[Path, str] = {}
    for folder in sorted((run / FOLDER).glob(NAMES), reverse=True):
        fault = fault_of(folder, only_weights=only_weights)
        if fault is None:
            return Found(folder, damaged)
        damaged[folder] = fault
    if damaged:
        raise InputError(
            f"no checkpoint of the run can be used: {_faults(damaged)}; bring one back from a copy, "
            f"or delete these folders to start from the first step"
        )
    return Found(None, damaged)


def remove_leftovers(run: Path) -> None:
    """Delete the unfinished checkpoints that a killed process left behind. Only one rank may call it."""
    for partial in (run / FOLDER).glob(".step-*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def load_checkpoint(engine: Engine, folder: Path) -> State:
    """Restore an engine from a checkpoint, on any number of ranks. Every rank must call it."""
    state = read_state(folder)
    engine.load(folder, state.ranks)
    return state


def read_state(folder: Path) -> State:
    """Read the `state.json` of a checkpoint."""
    document = json.loads((folder / STATE).read_text())
    return State(**{name: value for name, value in document.items() if name != "files"})


def step_of(folder: Path) -> int:
    """Return the number of steps in a checkpoint's name."""
    return int(folder.name.removeprefix("step-"))


def list_checkpoints(run: Path) -> list[Path]:
    """Return the folders of a run's complete checkpoints, oldest first; they are not verified."""
    return sorted(folder for folder in (run / FOLDER).glob(NAMES) if (folder / STATE).is_file())


def _faults(damaged: dict[Path, str]) -> str:
    """Return the folders and their faults in words."""
    return ", ".join(f"checkpoint {folder} is damaged ({fault})" for folder, fault in damaged.items())
