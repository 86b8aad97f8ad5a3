"""From a recipe to the parts of a run; everything that can be refused is refused here, before workers start."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from data_filters.errors import InputError
from pipelines.common.config import hash_of, output_settings
from pipelines.common.files import write_json
from pretrain.config import PretrainConfig
from pretrain.data.batches import BatchReader
from pretrain.data.datasets import Source, open_data, open_reader, plan_batches
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.tasks import get_task
from pretrain.tasks.task import Task
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.initial_weights import load_initial_weights
from pretrain.training.prepared_run import PreparedRun

logger = logging.getLogger(__name__)


def prepare_run(config: PretrainConfig, data: str | Sequence[str], folder: str) -> PreparedRun:
    """Check recipe, data and output folder against each other.

    `data` is a URI, or several of `URI` or `URI=WEIGHT` that are mixed.
    Raises InputError when they do not fit: no committed data, fewer samples than a batch, an output folder of another
    recipe; no phrases where an objective learns from them; a start that is absent, of another shape, or no earlier than
    the last step.
    """
    config = _with_absolute_start(config)
    load_tokenizer(config.tokenizer)
    data = tuple(_absolute(uri) for uri in ([data] if isinstance(data, str) else data))
    source = open_data(config, data)
    _check_phrases(config, source)
    plan = plan_batches(config, source, config.workers.count)
    for remark in source.remarks():
        logger.warning("%s", remark)
    steps = config.schedule.steps or max(1, math.floor((config.schedule.epochs or 0) * plan.steps_per_epoch))
    run = PreparedRun(config, data, str(Path(folder).absolute()), steps, learning_hash(config, source))
    _check_output(run)
    _check_start(run)
    return run


def write_run_config(run: PreparedRun) -> None:
    """Write RUN/config.json: every value of the recipe, the data with its sha256s, and the hash for resuming."""
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "config": run.config.model_dump(mode="json"),
        "data": ", ".join(run.data),
        "shards": open_data(run.config, run.data).record(),
        "total_steps": run.total_steps,
        "config_hash": run.config_hash,
    }
    write_json(folder / "config.json", document, ensure_ascii=True, end="")


# Any: the task's features, whose type only the task knows.
def build_module(config: PretrainConfig) -> Task[Any]:
    """The task's module with the recipe's seed: the same weights on every rank."""
    torch.manual_seed(config.seed)
    return get_task(config.task).build(config, len(load_tokenizer(config.tokenizer)))


def build_first_module(run: PreparedRun) -> Task[Any]:
    """The module as the run's first step finds it: with the weights of `start`, where the recipe names some.

    A run that has a checkpoint goes on from that and does not look at `start` again.
    """
    module, weights = build_module(run.config), run.config.start.weights
    if weights and not list_checkpoints(Path(run.folder)):
        load_initial_weights(module, weights)
    return module


def build_reader(run: PreparedRun, rank: int, ranks: int) -> BatchReader:
    """Worker `rank`'s stream of batches."""
    return open_reader(run.config, open_data(run.config, run.data), rank, ranks)


def learning_hash(config: PretrainConfig, source: Source) -> str:
    """16 hex digits of all that decides what is learned: the recipe's output settings, and the data's sha256s."""
    return hash_of(output_settings(config) | {"data_sha256": source.identity()})


def _absolute(uri: str) -> str:
    """A local path from the root on (a worker may run in another folder); other URIs as they are."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def _with_absolute_start(config: PretrainConfig) -> PretrainConfig:
    """As `_absolute`, for the weights that the recipe starts from."""
    if config.start.weights is None:
        return config
    start = config.start.model_copy(update={"weights": _absolute(config.start.weights)})
    return config.model_copy(update={"start": start})


def _check_start(run: PreparedRun) -> None:
    """Refuse a start behind the last step, and weights that do not fit, before workers do."""
    step = run.config.start.step
    if step >= run.total_steps:
        raise InputError(
            f"start.step is {step}, the run has {run.total_steps} steps; allowed are steps before the last; "
            "lower start.step or raise schedule.steps"
        )
    if run.config.start.weights:
        build_first_module(run)


def _check_phrases(config: PretrainConfig, source: Source) -> None:
    """Refuse objectives that need phrases on data without them."""
    needing = config.objectives_with_phrases
    if not needing:
        return
    if config.data.max_phrases == 0:
        raise InputError(
            f"data.max_phrases is 0, {' and '.join(needing)} need phrases; set data.max_phrases=8"
        )
    if not source.has_phrases():
        raise InputError(
            f"{' and '.join(needing)} need phrases, the first samples of {source.uri} hold none; "
            f"curate with phrases, or leave the objective out"
        )


def _check_output(run: PreparedRun) -> None:
    folder = Path(run.folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file; give a folder")
    there = folder / "config.json"
    if not there.exists():
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"output {folder} is not empty and holds no run; give a new folder")
        return
    other = json.loads(there.read_text())["config_hash"]
    if other != run.config_hash:
        raise InputError(
            f"output {folder} holds a run of config {other}, this is config {run.config_hash}; "
            f"give a new folder, or the recipe and data of that run to resume it"
        )
