"""The training loop: fetch, step, log, save. It imports neither Ray nor DeepSpeed; the engine is an argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from torch import Tensor

from pretrain.config import PretrainConfig
from pretrain.data.batch_reader import BatchReader
from pretrain.data.samples.batch import Batch
from pretrain.ranks import decided_by_first_rank
from pretrain.step_context import StepContext
from pretrain.training.accumulation import accumulate_gradients
from pretrain.training.checkpoint import (
    CheckpointWriter,
    Found,
    State,
    find_newest,
    load_checkpoint,
    read_state,
    remove_leftovers,
)
from pretrain.training.engine import Engine
from pretrain.training.key_log import append_keys, drop_keys_from
from pretrain.training.metrics import Meter, MetricsLog
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.profiler import step_profiler
from pretrain.training.schedule import rate_and_moment
from pretrain.training.step_flags import StepFlags


def train(
    engine: Engine,
    reader: BatchReader,
    run: PreparedRun,
    report: Callable[[dict[str, float]], None],
) -> None:
    """Train from the run's newest checkpoint, or from the recipe's `start.step`, to its last step.

    `report` is called on every rank after every `schedule.log_every` steps and after the last, with metrics of the same
    names on all ranks. Raises FloatingPointError, on all ranks, when a loss or the gradient norm is not finite.
    """
    config, schedule, folder = run.config, run.config.schedule, Path(run.folder)
    found = decided_by_first_rank(lambda: _clean_start(folder, config.start.step))
    first = load_checkpoint(engine, found.newest).step if found.newest else config.start.step
    with ExitStack() as stack:
        log = stack.enter_context(MetricsLog(folder, first)) if engine.rank == 0 else None
        saver = stack.enter_context(
            CheckpointWriter(engine, folder, schedule.keep_checkpoints, schedule.keep_steps, found.damaged)
        )
        profiler = (
            stack.enter_context(step_profiler(folder, engine.rank, engine.device))
            if schedule.profile
            else None
        )
        meter, flags, timer = Meter(), StepFlags(), _Timer(schedule.checkpoint_minutes)
        batches = stack.enter_context(closing(reader.batches(first, run.total_steps)))
        for step in range(first, run.total_steps):
            waiting = time.perf_counter()
            parts = next(batches)
            waited = time.perf_counter() - waiting

            values, norm, rate = _optimise(engine, parts, step, run)
            done, last = step + 1, step + 1 == run.total_steps
            due = flags.settle()
            flags.propose(done, _watched(values, norm, config), wish=engine.rank == 0 and timer.is_due())
            scalars: dict[str, Tensor | float] = {
                f"train/{name}": value.detach() for name, value in values.items()
            }
            scalars |= {"train/gradient_norm": norm, "train/learning_rate": rate}
            meter.record(scalars, config.data.batch_size, waited)
            if schedule.log_keys:
                keys = [key for part in parts for key in part.keys]
                append_keys(folder, engine.rank, engine.ranks, step, keys)

            if done % schedule.log_every == 0 or last:
                due |= flags.settle()
                epoch = done / reader.plan.steps_per_epoch
                metrics = {"step": done, "epoch": epoch} | meter.read(engine.device, bad_samples=reader.bad)
                if log:
                    log.append(metrics)
                report(metrics)
            if due or schedule.saves(done) or last:
                flags.settle()
                saver.save(State(done, engine.ranks, run.config_hash, reader.bad))
                timer.restart()
            if profiler:
                profiler.step()


def _clean_start(folder: Path, start: int) -> Found:
    """Find the checkpoint to go on from, and remove what a killed process left of later steps."""
    found = find_newest(folder)
    remove_leftovers(folder)
    drop_keys_from(folder, read_state(found.newest).step if found.newest else start)
    return found


def _optimise(
    engine: Engine, parts: Sequence[Batch], step: int, run: PreparedRun
) -> tuple[dict[str, Tensor], Tensor, float]:
    """Do optimiser step `step` on this rank's micro-batches; return (losses and metrics, gradient norm, rate)."""
    config = run.config
    micro_batches = [part.to(engine.device, engine.dtype, config.pixel_statistics) for part in parts]
    values = accumulate_gradients(engine, micro_batches, StepContext.of(config.seed, step, engine.rank))
    rate, momentum = rate_and_moment(step, run.total_steps, config.optimizer)
    norm = engine.step(rate, momentum, step)
    for name, highest in engine.parameter_limits().items():
        engine.clamp_parameter(name, highest)
    return values, norm, rate


class _Timer:
    """A timer that is due `minutes` after its last restart; never when `minutes` is None."""

    def __init__(self, minutes: float | None) -> None:
        self.minutes = minutes
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._since = time.monotonic()

    def is_due(self) -> bool:
        """Return whether `minutes` have passed since the last restart."""
        return self.minutes is not None and time.monotonic() - self._since >= 60 * self.minutes


def _watched(values: dict[str, Tensor], norm: Tensor, config: PretrainConfig) -> dict[str, Tensor]:
    """Return the values that must be finite: the losses and, except in fp16, the gradient norm.

    In fp16 a gradient may overflow; the engine then skips the step and lowers the loss scale.
    """
    losses = {name: value for name, value in values.items() if name.endswith("loss")}
    return losses if config.engine.precision == "fp16" else losses | {"gradient_norm": norm}
