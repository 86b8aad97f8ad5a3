"""Loads the weights that a run starts from instead of random ones: a checkpoint of an earlier run."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.training.checkpoint import list_checkpoints

ENCODER = "dual_encoder"
SUPPLIERS = "suppliers"  # a module dict with one module per supplier


def find_checkpoint(weights: str) -> Path:
    """Return the checkpoint folder that `weights` names: a folder in RUN/checkpoints, or RUN for its newest one.

    Raises InputError when there is none.
    """
    folder = Path(weights).expanduser()
    if (folder / "state.json").is_file():
        return folder
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise InputError(
            f"start.weights is {weights!r}, which is no checkpoint and no run that has one; give the output folder "
            "of `loupe pretrain`, or a folder in its checkpoints/"
        )
    return checkpoints[-1]


def load_initial_weights(module: nn.Module, weights: str) -> None:
    """Copy a checkpoint's weights into a task's module: the whole dual encoder, and each head that both have.

    A head that the checkpoint lacks keeps its initial weights; a head that the module lacks is ignored. Optimiser state
    is not loaded. Raises InputError when the checkpoint is absent, cannot be read or has other shapes.
    """
    folder = find_checkpoint(weights)
    try:
        saved = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"start.weights: {folder}/model.safetensors cannot be read ({error}); name another checkpoint"
        ) from error
    current = module.state_dict()
    shared = ({_part(name) for name in current} & {_part(name) for name in saved}) | {ENCODER}
    needed = {name: value for name, value in current.items() if _part(name) in shared}
    loaded = {name: value for name, value in saved.items() if _part(name) in shared}
    mismatched = [name for name in sorted({*needed, *loaded}) if _shape(needed, name) != _shape(loaded, name)]
    if mismatched:
        name, more = mismatched[0], f" (and {len(mismatched) - 1} more)" if len(mismatched) > 1 else ""
        raise InputError(
            f"start.weights {str(folder)!r} does not fit the recipe: {name} is {_shape(loaded, name)} there, "
            f"{_shape(needed, name)} here{more}; take model, tokenizer and supervision.head_width of that run's recipe"
        )
    module.load_state_dict(loaded, strict=False)


def _part(name: str) -> str:
    """Return the part that a tensor belongs to: the dual encoder, a head or a supplier."""
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == SUPPLIERS else first


def _shape(tensors: dict[str, Tensor], name: str) -> str:
    """Return the shape of a tensor as text for an error message, or "absent"."""
    return "×".join(map(str, tensors[name].shape)) or "a number" if name in tensors else "absent"
