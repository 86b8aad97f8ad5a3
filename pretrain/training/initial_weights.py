"""The weights that a run starts from in place of random ones: a checkpoint of an earlier run."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.training.checkpoint import list_checkpoints

ENCODER = "dual_encoder"
SUPPLIERS = "suppliers"  # holds one module for each supplier


def find_checkpoint(weights: str) -> Path:
    """The checkpoint's folder that `weights` names: one of RUN/checkpoints, or RUN for its newest.

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

    A head that the checkpoint lacks keeps its weights; one that the module lacks is left out. Optimiser state is not
    carried over. Raises InputError where the checkpoint is absent, cannot be read or has other shapes.
    """
    folder = find_checkpoint(weights)
    try:
        there = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"start.weights: {folder}/model.safetensors cannot be read ({error}); name another checkpoint"
        ) from error
    own = module.state_dict()
    shared = ({_part(name) for name in own} & {_part(name) for name in there}) | {ENCODER}
    wanted = {name: value for name, value in own.items() if _part(name) in shared}
    found = {name: value for name, value in there.items() if _part(name) in shared}
    wrong = [name for name in sorted({*wanted, *found}) if _shape(wanted, name) != _shape(found, name)]
    if wrong:
        name, more = wrong[0], f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(
            f"start.weights {str(folder)!r} does not fit the recipe: {name} is {_shape(found, name)} there, "
            f"{_shape(wanted, name)} here{more}; take model, tokenizer and supervision.head_width of that run's recipe"
        )
    module.load_state_dict(found, strict=False)


def _part(name: str) -> str:
    """The tower pair, head or supplier that a tensor belongs to."""
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == SUPPLIERS else first


def _shape(tensors: dict[str, Tensor], name: str) -> str:
    return "×".join(map(str, tensors[name].shape)) or "a number" if name in tensors else "absent"
