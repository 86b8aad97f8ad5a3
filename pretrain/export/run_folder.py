"""Reads the folder of a pretraining run: its recipe, its newest whole checkpoint, the record of its data.

- `RUN/config.json`: the resolved recipe under `config`, the hash of recipe and data under `config_hash`, the
  data's URI under `data`, and under `shards` the uri, sample count and sha256 of each shard.
- `RUN/parts/`: shapes of published towers and a tokenizer that is not shipped, so that an export needs the run alone.
- `RUN/checkpoints/step-00000100/model.safetensors`: fp32 weights of the whole module; beside it `state.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.models.dual_encoder import DualEncoder
from pretrain.tasks import TASKS, read_config
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.tasks.matcher_config import MatcherConfig
from pretrain.training.checkpoint import find_newest, list_checkpoints, step_of
from pretrain.training.checkpoint_files import WEIGHTS, fault_of
from pretrain.training.stored_parts import with_stored_tokenizer, with_stored_towers

ENCODER_PREFIX = "dual_encoder."


@dataclass(frozen=True)
class Checkpoint:
    """A folder with weights; `step` is the number of optimiser steps that led to them."""

    folder: Path
    step: int


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. `identity` is the hash of its recipe and data, `data` the URI and the shards that it read."""

    path: Path
    config: PretrainConfig
    identity: str
    data: dict[str, Any]


@dataclass(frozen=True)
class DualEncoderRun(RunFolder):
    """A run whose task trains a dual encoder, which an export can write."""

    config: DualEncoderConfig

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The run's tokenizer: the stored one, else the one that the recipe names."""
        return load_tokenizer(with_stored_tokenizer(self.config, self.path).tokenizer)


def read_run(run: str) -> RunFolder:
    """Read the run of any task in a folder.

    Raises InputError when it is no run, its task is unknown, or its configuration cannot be read.
    """
    path = Path(run)
    file = path / "config.json"
    if not file.is_file():
        raise InputError(
            f"run is {run!r}, which has no config.json; give the output folder of `loupe pretrain`"
        )
    try:
        document = json.loads(file.read_bytes())
        identity = str(document["config_hash"])
        config = read_config(document["config"])
    except InputError:  # an unknown task: the message names the known ones
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(file, error) from error
    data = {"uri": document.get("data"), "shards": document.get("shards", [])}
    return RunFolder(path, config, identity, data)


def open_run(run: str) -> DualEncoderRun:
    """Read a run that can be exported. Raises InputError as `read_run` does, and for a task without a dual encoder."""
    opened = read_run(run)
    config = opened.config
    if not isinstance(config, DualEncoderConfig):
        allowed = [name for name, task in TASKS.items() if issubclass(task.config_class, DualEncoderConfig)]
        otherwise = ", or --format huggingface" if isinstance(config, MatcherConfig) else ""
        raise InputError(
            f"run {run!r} is of task {config.task}, which has no dual encoder; export takes runs of "
            f"{', '.join(allowed)}; give such a run{otherwise}"
        )
    return DualEncoderRun(opened.path, config, opened.identity, opened.data)


def find_checkpoint(run: RunFolder, name: str | None = None) -> Checkpoint:
    """The checkpoint of that name (`step-00000100`, `100`), or the newest whose weights verify.

    Raises InputError when there is none, naming those that exist, and when the weights of the named one are damaged.
    """
    if name is None:
        found = find_newest(run.path, only_weights=True)
        found.warn()
        if found.newest is None:
            raise InputError(
                f"run {str(run.path)!r} has no checkpoint yet; let `loupe pretrain` reach its first one"
            )
        return Checkpoint(found.newest, step_of(found.newest))
    known = {step_of(folder): folder for folder in list_checkpoints(run.path)}
    wanted = name.removeprefix("step-")
    if not wanted.isdigit() or int(wanted) not in known:
        names = ", ".join(folder.name for folder in known.values()) or "none yet"
        raise InputError(
            f"checkpoint is {name!r}; run {str(run.path)!r} has {names}; name one of them, or none"
        )
    folder = known[int(wanted)]
    if fault := fault_of(folder, only_weights=True):
        raise InputError(f"checkpoint {folder} is damaged ({fault}); export another with --checkpoint")
    return Checkpoint(folder, int(wanted))


def load_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Every tensor of the checkpoint, by its name in the module. Raises InputError when the file cannot be read."""
    file = checkpoint.folder / WEIGHTS
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"checkpoint {file} cannot be read ({error}); export another with --checkpoint"
        ) from error


def restore_encoder(run: DualEncoderRun, weights: dict[str, Tensor]) -> DualEncoder:
    """The run's dual encoder with these weights, in evaluation mode, fp32 on the CPU.

    Raises InputError when the weights do not fit the run's recipe.
    """
    model = with_stored_towers(run.config, run.path).model
    encoder = DualEncoder(model, len(run.tokenizer()))
    encoder_weights = {
        name.removeprefix(ENCODER_PREFIX): tensor.float()
        for name, tensor in weights.items()
        if name.startswith(ENCODER_PREFIX)
    }
    try:
        encoder.load_state_dict(encoder_weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"run {str(run.path)!r}: the checkpoint does not fit config.json ({reason[:300]}); "
            "both must come of the same run"
        ) from error
    return encoder.eval()


def _unreadable(file: Path, error: Exception) -> InputError:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'recipe'}: {first['msg']}"
    return InputError(
        f"run config {file} is not understood ({' '.join(reason.split())}); it must be the one that "
        "`loupe pretrain` wrote, by a version no newer than this"
    )
