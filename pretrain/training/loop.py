"""The training loop: fetch, step, log, save. It knows neither Ray nor DeepSpeed; the engine is handed in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pretrain.config import PretrainConfig
from pretrain.data.shards.reader import Reader
from pretrain.training.accumulation import accumulate_gradients
from pretrain.training.checkpoint import CheckpointWriter, State, list_checkpoints, load_checkpoint
from pretrain.training.metrics import Meter, MetricsLog
from pretrain.training.profiler import step_profiler
from pretrain.training.schedule import one_cycle
from pretrain.training.step_flags import Agreement


class Engine(Protocol):
    """A module and its optimiser on this rank."""

    device: torch.device
    dtype: torch.dtype
    rank: int
    ranks: int

    def forward(self, batch: Any, **how: Any) -> Any: ...
    def backward(self, loss: Tensor, last: bool = True) -> None: ...
    def loss_scale(self) -> float: ...
    def step(self, learning_rate: float, momentum: float) -> Tensor: ...
    def clamp_parameter(self, name: str, highest: float) -> None: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path, ranks: int) -> None: ...
    def weights(self) -> dict[str, Tensor]: ...


def train(
    engine: Engine,
    reader: Reader,
    config: PretrainConfig,
    total_steps: int,
    run: Path,
    config_hash: str,
    report: Callable[[dict[str, float]], None],
) -> None:
    """Train from the newest checkpoint in `run`, or from the recipe's first step, up to `total_steps`.

    `report` is called on every rank after every `schedule.log_every` steps and after the last, with the same metrics'
    names. Raises FloatingPointError, on all ranks alike, when a loss or the gradient is not finite.
    """
    schedule = config.schedule
    checkpoints = list_checkpoints(run)
    first = load_checkpoint(engine, checkpoints[-1]).step if checkpoints else config.start.step
    with ExitStack() as stack:
        log = stack.enter_context(MetricsLog(run, first)) if engine.rank == 0 else None
        saver = stack.enter_context(
            CheckpointWriter(engine, run, schedule.keep_checkpoints, schedule.keep_steps)
        )
        profiler = (
            stack.enter_context(step_profiler(run, engine.rank, engine.device)) if schedule.profile else None
        )
        meter, agreement, clock = Meter(), Agreement(), _Clock(schedule.checkpoint_minutes)
        batches = reader.batches(first, total_steps)
        for step in range(first, total_steps):
            waiting = time.perf_counter()
            parts = next(batches)
            waited = time.perf_counter() - waiting

            # Dropout is a function of (seed, step, rank): resuming needs no state of the generators.
            seed = ((config.seed * 1_000_003 + step) * 4099 + engine.rank) * 1009 % 2**62
            moved = [part.to(engine.device, engine.dtype) for part in parts]
            values = accumulate_gradients(engine, moved, seed)
            rate, momentum = one_cycle(step, total_steps, config.optimizer)
            norm = engine.step(rate, momentum)
            engine.clamp_parameter("dual_encoder.logit_scale", config.model.log_max_logit_scale)

            done = step + 1
            due = agreement.settle()
            agreement.propose(done, _watched(values, norm, config), wish=engine.rank == 0 and clock.rings())
            scalars = {f"train/{name}": value.detach() for name, value in values.items()}
            scalars |= {"train/gradient_norm": norm, "train/learning_rate": rate}
            meter.record(scalars, config.data.batch_size, waited)
            if schedule.log_keys:
                _append_keys(run, engine, step, [key for part in parts for key in part.keys])
            if done % schedule.log_every == 0 or done == total_steps:
                due |= agreement.settle()
                epoch = done / reader.plan.steps_per_epoch
                metrics = {"step": done, "epoch": epoch} | meter.read(engine.device, bad_samples=reader.bad)
                if log:
                    log.append(metrics)
                report(metrics)
            if due or schedule.saves(done) or done == total_steps:
                agreement.settle()
                saver.save(State(done, engine.ranks, config_hash, reader.bad))
                clock.start()
            if profiler:
                profiler.step()


class _Clock:
    """Rings when `minutes` have passed since `start`; never without minutes."""

    def __init__(self, minutes: float | None) -> None:
        self.minutes = minutes
        self.start()

    def start(self) -> None:
        self._since = time.monotonic()

    def rings(self) -> bool:
        return self.minutes is not None and time.monotonic() - self._since >= 60 * self.minutes


def _watched(values: dict[str, Tensor], norm: Tensor, config: PretrainConfig) -> dict[str, Tensor]:
    """What must be finite. In fp16 a gradient may overflow: the loss scale shrinks and the step is skipped."""
    losses = {name: value for name, value in values.items() if name.endswith("loss")}
    return losses if config.engine.precision == "fp16" else losses | {"gradient_norm": norm}


def _append_keys(run: Path, engine: Engine, step: int, keys: list[str]) -> None:
    path = run / "keys" / f"rank-{engine.rank}-of-{engine.ranks}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"step": step, "keys": keys}) + "\n")
