"""From a recipe to the parts of a run; everything that can be refused is refused here, before workers start."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data_filters.errors import InputError
from pretrain.config import PretrainConfig, StartConfig
from pretrain.data.datasets import Source, open_data, open_reader, plan_batches
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.webdataset.reader import StreamReader
from pretrain.objectives import read_objectives
from pretrain.tasks.dual_encoder import TrainingModule, check_recipe
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.initial_weights import load_start

MACHINE_SECTIONS = (
    "workers",
    "schedule.log_every",
    "schedule.checkpoint_every",
    "schedule.checkpoint_minutes",
    "schedule.keep_checkpoints",
    "schedule.keep_steps",
    "schedule.profile",
    "engine.activation_checkpointing",
    "engine.compile",
    "engine.whole_below",
    "data.accumulation",
    "data.decode_threads",
    "data.prefetch",
    "data.cache_gib",
    "data.cache_folder",
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """What every worker of a run agrees on."""

    config: PretrainConfig
    data: tuple[str, ...]
    run: str
    total_steps: int
    config_hash: str


def plan_run(config: PretrainConfig, data: str | Sequence[str], run: str) -> RunPlan:
    """Check recipe, data and output folder against each other.

    `data` is a URI, or several of `URI` or `URI=WEIGHT` that are mixed.

    Raises InputError when they do not fit: unknown objective, no committed data, fewer samples than a batch, an
    output folder of another recipe; no phrases where an objective learns from them; a start that is absent, of another
    shape, or no earlier than the last step.
    """
    config = _with_absolute_start(config)
    check_recipe(config)
    load_tokenizer(config.tokenizer)
    data = tuple(_absolute(uri) for uri in ([data] if isinstance(data, str) else data))
    source = open_data(config, data)
    _check_phrases(config, source)
    plan = plan_batches(config, source, config.workers.count)
    for remark in source.remarks():
        logger.warning("%s", remark)
    steps = config.schedule.steps or max(1, math.floor((config.schedule.epochs or 0) * plan.steps_per_epoch))
    planned = RunPlan(config, data, str(Path(run).absolute()), steps, learning_hash(config, source))
    _check_output(planned)
    _check_start(planned)
    return planned


def write_run_config(planned: RunPlan) -> None:
    """RUN/config.json: the resolved recipe, the data with its sha256s, and the hash that a resuming run must match."""
    folder = Path(planned.run)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "config": planned.config.model_dump(mode="json"),
        "data": ", ".join(planned.data),
        "shards": open_data(planned.config, planned.data).record(),
        "total_steps": planned.total_steps,
        "config_hash": planned.config_hash,
    }
    temporary = folder / ".config.json.partial"
    temporary.write_text(json.dumps(document, indent=1))
    temporary.rename(folder / "config.json")


def build_module(config: PretrainConfig) -> TrainingModule:
    """The module with the recipe's seed: the same weights on every rank."""
    torch.manual_seed(config.seed)
    return TrainingModule(config, len(load_tokenizer(config.tokenizer)))


def build_first_module(planned: RunPlan) -> TrainingModule:
    """The module as the run's first step finds it: with the weights of `start`, where the recipe names some.

    A run that has a checkpoint goes on from that and does not look at `start` again.
    """
    module, weights = build_module(planned.config), planned.config.start.weights
    if weights and not list_checkpoints(Path(planned.run)):
        load_start(module, weights)
    return module


def build_reader(planned: RunPlan, rank: int, ranks: int) -> Reader | StreamReader:
    """Worker `rank`'s stream of batches."""
    return open_reader(planned.config, open_data(planned.config, planned.data), rank, ranks)


def learning_hash(config: PretrainConfig, source: Source) -> str:
    """Hash of all that decides what is learned: the recipe without its machine settings, and the data's sha256s."""
    learned = config.model_dump(mode="json")
    for place in MACHINE_SECTIONS:
        section, _, field = place.partition(".")
        if field:
            learned[section].pop(field)
        else:
            learned.pop(section)
    if config.start == StartConfig():  # a recipe that does not branch has the hash it always had
        learned.pop("start")
    learned["data_sha256"] = source.identity()
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()[:16]


def _absolute(uri: str) -> str:
    """A local path from the root on (a worker may run in another folder); other URIs as they are."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def _with_absolute_start(config: PretrainConfig) -> PretrainConfig:
    """As `_absolute`, for the weights that the recipe starts from."""
    if config.start.weights is None:
        return config
    start = config.start.model_copy(update={"weights": _absolute(config.start.weights)})
    return config.model_copy(update={"start": start})


def _check_start(planned: RunPlan) -> None:
    """Refuse a start behind the last step, and weights that do not fit, before workers do."""
    step = planned.config.start.step
    if step >= planned.total_steps:
        raise InputError(
            f"start.step is {step}, the run has {planned.total_steps} steps; allowed are steps before the last; "
            "lower start.step or raise schedule.steps"
        )
    if planned.config.start.weights:
        build_first_module(planned)


def _check_phrases(config: PretrainConfig, source: Source) -> None:
    """Refuse objectives that need phrases on data without them."""
    needing = [name for name, (one, _) in read_objectives(config.objectives).items() if one.phrases]
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


def _check_output(planned: RunPlan) -> None:
    folder = Path(planned.run)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file; give a folder")
    there = folder / "config.json"
    if not there.exists():
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"output {folder} is not empty and holds no run; give a new folder")
        return
    other = json.loads(there.read_text())["config_hash"]
    if other != planned.config_hash:
        raise InputError(
            f"output {folder} holds a run of config {other}, this is config {planned.config_hash}; "
            f"give a new folder, or the recipe and data of that run to resume it"
        )
