"""Loads the weights that a run starts from instead of random ones: a checkpoint of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data_filters.errors import InputError
from pretrain.tasks.task import Task
from pretrain.training.checkpoint import find_newest
from pretrain.training.checkpoint_files import STATE, WEIGHTS, fault_of


def newest_checkpoint(weights: str) -> Path:
    """Return the checkpoint folder that `weights` names: a folder in RUN/checkpoints, or RUN for its newest whole one.

    Raises InputError when there is none, or the one that is named is damaged, or all are.
    """
    folder = Path(weights).expanduser()
    if (folder / STATE).is_file():
        if fault := fault_of(folder, only_weights=True):
            raise InputError(
                f"start.weights is {weights!r}, a damaged checkpoint ({fault}); name another checkpoint"
            )
        return folder
    found = find_newest(folder, only_weights=True)
    found.warn()
    if found.newest is None:
        raise InputError(
            f"start.weights is {weights!r}, which is no checkpoint and no run that has one; give the output folder "
            "of `loupe pretrain`, or a folder in its checkpoints/"
        )
    return found.newest


# Any: the type of a task's features does not matter here.
def load_initial_weights(module: Task[Any], weights: str) -> str:
    """Copy a checkpoint's weights into a task's module: the task's required parts, and each part that both have.

    `weights` names a checkpoint, which is not verified again, or a run, for its newest (see `newest_checkpoint`).
    A part that the checkpoint lacks keeps its initial weights, and a part that the module lacks is not loaded. Returns
    a remark that names both kinds, empty when there are none. Optimiser state is not loaded. Raises InputError when the
    checkpoint is absent, cannot be read or has other shapes.
    """
    folder = Path(weights).expanduser()
    if not (folder / STATE).is_file():
        folder = newest_checkpoint(weights)
    try:
        saved = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"start.weights: {folder / WEIGHTS} cannot be read ({error}); name another checkpoint"
        ) from error
    current = module.state_dict()
    own_parts, saved_parts = ({module.part_of(name) for name in tensors} for tensors in (current, saved))
    shared = (own_parts & saved_parts) | {*module.required_parts}
    needed = {name: value for name, value in current.items() if module.part_of(name) in shared}
    loaded = {name: value for name, value in saved.items() if module.part_of(name) in shared}
    mismatched = [name for name in sorted({*needed, *loaded}) if _shape(needed, name) != _shape(loaded, name)]
    if mismatched:
        name, more = mismatched[0], f" (and {len(mismatched) - 1} more)" if len(mismatched) > 1 else ""
        raise InputError(
            f"start.weights {str(folder)!r} does not fit the recipe: {name} is {_shape(loaded, name)} there, "
            f"{_shape(needed, name)} here{more}; take model, tokenizer and supervision.head_width of that run's recipe"
        )
    module.load_state_dict(loaded, strict=False)
    return _remark(folder, not_loaded=saved_parts - shared, fresh=own_parts - shared)


def _remark(folder: Path, not_loaded: set[str], fresh: set[str]) -> str:
    """Return one line that names the parts of only the checkpoint and of only the module; empty when there are none."""
    remarks = []
    if not_loaded:
        remarks.append(f"{', '.join(sorted(not_loaded))} left out (the recipe has no such part)")
    if fresh:
        remarks.append(f"{', '.join(sorted(fresh))} with fresh weights (the checkpoint has none)")
    return f"start.weights {folder}: {'; '.join(remarks)}" if remarks else ""


def _shape(tensors: dict[str, Tensor], name: str) -> str:
    """Return the shape of a tensor as text for an error message, or "absent"."""
    return "×".join(map(str, tensors[name].shape)) or "a number" if name in tensors else "absent"
