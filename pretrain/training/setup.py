"""Builds the parts of a run from its recipe, and checks all input before workers start."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from data_filters.errors import InputError
from pipelines.common.config import hash_of, output_settings
from pipelines.common.files import absolute
from pipelines.common.paths import require_local
from pretrain.config import PretrainConfig
from pretrain.data.batch_reader import BatchReader
from pretrain.data.datasets import Source, open_data, open_reader, plan_batches, reopen_data
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.shard_records import ShardRecord, record_shards, version_of
from pretrain.tasks import get_task
from pretrain.tasks.task import Task
from pretrain.training.checkpoint import find_newest, list_checkpoints
from pretrain.training.initial_weights import load_initial_weights, newest_checkpoint
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.resuming import check_settings, data_changes, earlier_config
from pretrain.training.run_record import RunRecord, read_run_record, write_run_record
from pretrain.training.stored_parts import store_parts, with_stored_tokenizer, with_stored_towers

logger = logging.getLogger(__name__)


def prepare_run(
    config: PretrainConfig,
    data: str | Sequence[str],
    folder: str,
    *,
    accept_changed_data: bool = False,
    verify: bool = False,
) -> PreparedRun:
    """Check recipe, data and output folder against each other, and return the run that they make.

    `data` is one `URI` or `URI=WEIGHT`, or several, which are mixed. With `accept_changed_data` the run in `folder`
    goes on though bytes of its shards changed, and its record says so. With `verify` every shard is read and compared
    with its manifest and with the run's record.

    Raises InputError when something does not fit: no committed data; a tar that is not what its manifest says; fewer
    samples than a batch; an output folder of a run that learns with other settings or from other data; no phrases where
    an objective learns from them; initial weights that are absent or of another shape; checkpoints that are all
    damaged; a first step that is not before the last.
    """
    folder = require_local("output", folder)
    root = Path(folder).absolute()
    record = read_run_record(root)
    earlier = earlier_config(root, record) if record else None
    config = _with_recorded_start(_with_absolute_start(config), earlier).with_published_inputs(earlier)
    load_tokenizer(with_stored_tokenizer(config, root).tokenizer)
    # Absolute, because workers may run in another folder.
    data = tuple(absolute(uri) for uri in ([data] if isinstance(data, str) else data))
    known = record.shards if record else ()
    source = open_data(config, data, known)
    shares = None if (found := source.shares()) is None else tuple(found)
    if record:
        check_settings(root, record, config, shares)
    _check_phrases(config, source)
    plan = plan_batches(config, source, config.workers.count)
    for remark in source.remarks():
        logger.warning("%s", remark)
    steps = config.schedule.steps or max(1, math.floor((config.schedule.epochs or 0) * plan.steps_per_epoch))
    _check_start_step(config, steps)
    if earlier is None:
        config = _with_one_checkpoint(config)
    shards = tuple(record_shards(source.found(), known, read_all=verify))
    newest = find_newest(root)
    newest.warn()
    run = PreparedRun(
        config=config,
        data=data,
        folder=str(root),
        total_steps=steps,
        config_hash=learning_hash(config, shards, shares),
        shards=shards,
        shares=shares,
        changes=data_changes(root, record, shards, steps, newest.step, accept_changed_data) if record else (),
        steps_done=newest.step,
    )
    if not list_checkpoints(root):
        with_stored_tokenizer(config, root).check_published_parts()
    _check_initial_weights(run)
    return run


def write_run_config(run: PreparedRun) -> None:
    """Write RUN/config.json: every value of the recipe, the data with its sha256s, and the hash of both.

    Writes RUN/parts too: what a checkpoint does not hold of published towers and tokenizers.
    """
    folder = Path(run.folder)
    record = RunRecord(
        config=run.config.model_dump(mode="json"),
        shards=run.shards,
        shares=run.shares,
        total_steps=run.total_steps,
        changes=run.changes,
    )
    write_run_record(folder, record, run.data, run.config_hash)
    store_parts(run.config, folder)


# Any, here and below: only the task knows the type of its features.
def build_module(config: PretrainConfig) -> Task[Any]:
    """Build the task's module with random weights from the recipe's seed: the same weights on every rank."""
    torch.manual_seed(config.seed)
    return get_task(config.task).build(config, len(load_tokenizer(config.tokenizer)))


def build_first_module(run: PreparedRun) -> Task[Any]:
    """Build the module for the run's first step, with the weights of `start` when the recipe names them.

    When the run has a checkpoint, neither `start` nor published towers are read: the engine loads
    the checkpoint instead.
    """
    module, _ = _first_module(run)
    return module


def build_reader(run: PreparedRun, rank: int, ranks: int) -> BatchReader:
    """Open the stream of batches of worker `rank` of `ranks`."""
    return open_reader(
        with_stored_tokenizer(run.config, Path(run.folder)),
        reopen_data(run.config, run.data, run.shards),
        rank,
        ranks,
    )


def learning_hash(config: PretrainConfig, shards: Sequence[ShardRecord], shares: Sequence[int] | None) -> str:
    """Return a hash, 16 hex digits, of what decides the result: the recipe's output settings and the data's bytes."""
    identity: list[object] = [shard["sha256"] or version_of(shard["witness"]) for shard in shards]
    if shares is not None:
        identity = [identity, list(shares)]
    return hash_of(output_settings(config) | {"data_sha256": identity})


def _first_module(run: PreparedRun) -> tuple[Task[Any], str]:
    """Return the module of `build_first_module`, and the remark of `load_initial_weights`."""
    folder, weights = Path(run.folder), run.config.start.weights
    resumes = bool(list_checkpoints(folder))
    config = with_stored_tokenizer(run.config, folder)
    module = build_module(with_stored_towers(config, folder) if resumes else config)
    return module, load_initial_weights(module, weights) if weights and not resumes else ""


def _with_absolute_start(config: PretrainConfig) -> PretrainConfig:
    """Return the recipe with an absolute path in `start.weights`."""
    weights = config.start.weights
    return config if weights is None else _with_start(config, absolute(weights))


def _with_recorded_start(config: PretrainConfig, earlier: PretrainConfig | None) -> PretrainConfig:
    """Return the recipe with the checkpoint that the run in the output folder began with, where it names its run.

    Which of that run's checkpoints was the newest then is in the record; by now it may be another.
    """
    recorded = earlier.start.weights if earlier else None
    if recorded is None or config.start.weights is None:
        return config
    began_with = Path(recorded)
    return _with_start(config, recorded) if Path(config.start.weights) == began_with.parent.parent else config


def _with_one_checkpoint(config: PretrainConfig) -> PretrainConfig:
    """Return the recipe with the newest checkpoint in `start.weights` where it names a run; a warning says which it is.

    Raises InputError when there is none, or it is damaged.
    """
    weights = config.start.weights
    if weights is None:
        return config
    newest = newest_checkpoint(weights)
    if newest == Path(weights):
        return config
    logger.warning(
        "start.weights %s: its newest checkpoint, %s, is loaded; start.step is %d",
        weights,
        newest.name,
        config.start.step,
    )
    return _with_start(config, str(newest))


def _with_start(config: PretrainConfig, weights: str) -> PretrainConfig:
    return config.model_copy(update={"start": config.start.model_copy(update={"weights": weights})})


def _check_start_step(config: PretrainConfig, steps: int) -> None:
    """Raise InputError when `start.step` is not before the last of `steps` steps."""
    if config.start.step >= steps:
        raise InputError(
            f"start.step is {config.start.step}, the run has {steps} steps; allowed are steps before the last; "
            "lower start.step or raise schedule.steps"
        )


def _check_initial_weights(run: PreparedRun) -> None:
    """Raise InputError when the initial weights do not fit; a run that has a checkpoint of its own needs none.

    Logs a warning when some of the weights are not loaded, or when parts of the module keep fresh weights.
    """
    if run.config.start.weights is None or list_checkpoints(Path(run.folder)):
        return
    _, remark = _first_module(run)
    if remark:
        logger.warning("%s", remark)


def _check_phrases(config: PretrainConfig, source: Source) -> None:
    """Raise InputError when an objective needs phrases and the data has none."""
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
