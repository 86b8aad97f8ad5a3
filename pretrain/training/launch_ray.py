"""Pretraining on Ray Train workers. The only file that imports ray."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from data_filters.errors import InputError
from pipelines.common.files import write_json
from pretrain.config import WorkersConfig
from pretrain.tasks import read_config
from pretrain.training.loop import train
from pretrain.training.metrics import read_metrics
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.setup import build_first_module, build_reader, write_run_config

FAULT = "fault.json"
FAULTS: dict[str, type[Exception]] = {"FloatingPointError": FloatingPointError, "InputError": InputError}


def run_distributed(run: PreparedRun, report: Callable[[dict[str, float]], None]) -> None:
    """Train on `workers.count` Ray Train workers: on the Ray that runs, the one RAY_ADDRESS names, or one of our own.

    Rank 0's metrics reach `report` here, in the driver. A worker that dies is restarted with all others from the
    newest checkpoint, up to `workers.max_failures` times; then its error is raised. With `workers.minimum` Ray goes
    on with as many workers as there is room for, up to `count`, and grows back when machines return. What a restart
    cannot mend (a loss that is not finite, data that cannot be read) is raised here at once.
    """
    workers = run.config.workers
    if not ray.is_initialized():
        # Not "auto": a cluster that someone else left running on this machine is not ours to use.
        local = not os.environ.get("RAY_ADDRESS")
        ray.init(
            address="local" if local else None,
            include_dashboard=False if local else None,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )
        if local:
            _check_room(workers)
    write_run_config(run)
    resources = {"CPU": workers.cpus_per_worker} | ({"GPU": 1} if workers.gpu else {})
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"run": _portable(run)},
        scaling_config=ScalingConfig(
            # Ray Train v2 takes (fewest, most); its type stubs are those of v1.
            num_workers=(workers.minimum, workers.count) if workers.minimum else workers.count,  # type: ignore[arg-type]
            use_gpu=workers.gpu,
            resources_per_worker=resources,
        ),
        torch_config=TorchConfig(backend="nccl" if workers.gpu else "gloo"),
        run_config=RunConfig(
            name="ray",
            storage_path=run.folder,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            worker_runtime_env=_environment(),  # type: ignore[call-arg]  # v2's, as above
        ),
    )
    fault = Path(run.folder) / FAULT
    fault.unlink(missing_ok=True)
    with _following(Path(run.folder), report):
        trainer.fit()
    if fault.exists():
        document = json.loads(fault.read_text())
        fault.unlink()
        raise FAULTS[document["type"]](document["message"])


def _check_room(workers: WorkersConfig) -> None:
    """Refuse more workers than this machine holds; a cluster may grow, one machine would wait for ever."""
    there = ray.cluster_resources()
    least = workers.minimum or workers.count
    if workers.gpu and there.get("GPU", 0) < least:
        raise InputError(
            f"workers.gpu is true and {least} workers want a GPU each, this machine has {there.get('GPU', 0):.0f}; "
            f"set workers.gpu=false, lower workers.count, or set RAY_ADDRESS to a cluster"
        )
    if there["CPU"] < least * workers.cpus_per_worker:
        raise InputError(
            f"{least} workers with workers.cpus_per_worker = {workers.cpus_per_worker:g} want "
            f"{least * workers.cpus_per_worker:g} cores, this machine has {there['CPU']:g}; "
            f"lower workers.count or workers.cpus_per_worker, or set RAY_ADDRESS to a cluster"
        )


def _worker(settings: dict[str, Any]) -> None:
    """One rank: the process group is Ray's, the engine DeepSpeed's."""
    from pretrain.training.engines.deepspeed import DeepSpeedEngine

    run = _read_portable(settings["run"])
    context = ray.train.get_context()
    folder, ranks = Path(run.folder), context.get_world_size()
    if (folder / FAULT).exists():  # a restart after a fault that a restart does not mend
        return
    run = replace(run, config=run.config.with_workers(ranks))
    engine = DeepSpeedEngine(build_first_module(run), run.config)
    reader = build_reader(run, context.get_world_rank(), ranks)
    try:
        train(engine, reader, run, ray.train.report)
    except tuple(FAULTS.values()) as error:
        _write_fault(folder, error)
        if not isinstance(error, FloatingPointError):
            raise  # on this rank alone: the others wait for it until Ray ends them


def _write_fault(run: Path, error: Exception) -> None:
    """RUN/fault.json: the first error of any rank that no restart mends."""
    kind = next(name for name, fault in FAULTS.items() if isinstance(error, fault))
    write_json(run / FAULT, {"type": kind, "message": str(error)}, indent=None, ensure_ascii=True, end="")


def _environment() -> dict[str, Any]:
    """What a worker's process needs to know before it imports torch."""
    names = ("DS_ACCELERATOR", "HF_HUB_OFFLINE", "HF_HOME", "TOKENIZERS_PARALLELISM")
    return {"env_vars": {name: os.environ[name] for name in names if name in os.environ}}


def _portable(run: PreparedRun) -> dict[str, Any]:
    """The run as plain values, so that no class need match between driver and workers."""
    return {**vars(run), "config": run.config.model_dump(mode="json")}


def _read_portable(values: dict[str, Any]) -> PreparedRun:
    """The inverse of `_portable`."""
    return PreparedRun(**{**values, "config": read_config(values["config"])})


@contextmanager
def _following(run: Path, report: Callable[[dict[str, float]], None], seconds: float = 0.5) -> Iterator[None]:
    """While open, every new line of RUN/metrics.jsonl goes to `report`, here in the driver."""
    done = threading.Event()
    seen = {line["step"] for line in read_metrics(run)}

    def pass_on() -> None:
        for line in read_metrics(run):
            if line["step"] not in seen:
                seen.add(line["step"])
                report(line)

    def follow() -> None:
        while not done.wait(seconds):
            pass_on()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()
        pass_on()
