"""Runs pretraining on Ray Train workers. The only file of pretrain that imports ray."""

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
from pipelines.common.ownership import owned
from pretrain.config import WorkersConfig
from pretrain.tasks import read_config
from pretrain.training.interruption import ended_by_signals
from pretrain.training.loop import train
from pretrain.training.metrics import read_metrics
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.setup import build_first_module, build_reader, write_run_config

FAULT = "fault.json"
FAULTS: dict[str, type[Exception]] = {"FloatingPointError": FloatingPointError, "InputError": InputError}


def run_distributed(run: PreparedRun, report: Callable[[dict[str, float]], None]) -> None:
    """Train on `workers.count` Ray Train workers.

    Uses the Ray cluster that this process is connected to, else the one that RAY_ADDRESS names, else starts a local
    one. Rank 0's metrics reach `report` in this process, the driver. When a worker dies, all workers restart from the
    newest checkpoint, up to `workers.max_failures` times; then its error is raised. With `workers.minimum` Ray
    continues with as many workers as the cluster has room for, up to `count`, and adds workers when machines return. An
    error that a restart cannot mend (a loss that is not finite, data that cannot be read) is raised at once, as
    FloatingPointError or InputError. This process owns RUN meanwhile; restarted workers write into it as its workers.
    """
    with owned(run.folder):
        _run_distributed(run, report)


def _run_distributed(run: PreparedRun, report: Callable[[dict[str, float]], None]) -> None:
    """`run_distributed` in a folder that this process owns."""
    workers = run.config.workers
    if not ray.is_initialized():
        # Not "auto": that would join a cluster that another user left running on this machine.
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
            # Ray Train v2 takes (minimum, maximum); its type hints are still those of v1.
            num_workers=(workers.minimum, workers.count) if workers.minimum else workers.count,  # type: ignore[arg-type]
            use_gpu=workers.gpu,
            resources_per_worker=resources,
        ),
        torch_config=TorchConfig(backend="nccl" if workers.gpu else "gloo"),
        run_config=RunConfig(
            name="ray",
            storage_path=run.folder,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            worker_runtime_env=_environment(),  # type: ignore[call-arg]  # of v2, as above
        ),
    )
    fault = Path(run.folder) / FAULT
    fault.unlink(missing_ok=True)
    # After ray.init, which sets a handler of its own.
    with ended_by_signals(run.folder), _following(Path(run.folder), report):
        trainer.fit()
    if fault.exists():
        document = json.loads(fault.read_text())
        fault.unlink()
        raise FAULTS[document["type"]](document["message"])


def _check_room(workers: WorkersConfig) -> None:
    """Raise InputError when this machine has too few GPUs or cores for the workers.

    Only for a local Ray: on a cluster, Ray may wait for machines that join later.
    """
    available = ray.cluster_resources()
    least = workers.minimum or workers.count
    if workers.gpu and available.get("GPU", 0) < least:
        raise InputError(
            f"workers.gpu is true and {least} workers want a GPU each, this machine has {available.get('GPU', 0):.0f}; "
            f"set workers.gpu=false, lower workers.count, or set RAY_ADDRESS to a cluster"
        )
    if available["CPU"] < least * workers.cpus_per_worker:
        raise InputError(
            f"{least} workers with workers.cpus_per_worker = {workers.cpus_per_worker:g} want "
            f"{least * workers.cpus_per_worker:g} cores, this machine has {available['CPU']:g}; "
            f"lower workers.count or workers.cpus_per_worker, or set RAY_ADDRESS to a cluster"
        )


# Any: Ray hands over `train_loop_config` as it is.
def _worker(settings: dict[str, Any]) -> None:
    """Train as one rank, in the process group that Ray made, with the DeepSpeed engine."""
    from pretrain.training.engines.deepspeed import DeepSpeedEngine

    run = _read_portable(settings["run"])
    context = ray.train.get_context()
    folder, ranks = Path(run.folder), context.get_world_size()
    if (folder / FAULT).exists():  # Ray restarted the workers, but a restart does not mend this fault
        return
    run = replace(run, config=run.config.with_workers(ranks))
    engine = None
    try:
        engine = DeepSpeedEngine(build_first_module(run), run.config)
        reader = build_reader(run, context.get_world_rank(), ranks)
        # Nothing goes to ray.train.report: it blocks until Ray's next poll, up to 2 s for each logged step. The driver
        # reads metrics.jsonl.
        train(engine, reader, run, lambda metrics: None)
    except tuple(FAULTS.values()) as error:
        _write_fault(folder, error)
        if not isinstance(error, FloatingPointError):
            raise  # an InputError is of this rank only: the others wait in a collective until Ray ends them
    finally:
        if engine is not None:
            engine.close()  # Ray destroys the process group, whose threads end only when nothing else holds it


def _write_fault(run: Path, error: Exception) -> None:
    """Write RUN/fault.json: the type and message of an error that a restart cannot mend."""
    kind = next(name for name, fault in FAULTS.items() if isinstance(error, fault))
    write_json(run / FAULT, {"type": kind, "message": str(error)}, indent=None, ensure_ascii=True, end="")


# Any: Ray's runtime environment, and JSON values, here and below.
def _environment() -> dict[str, Any]:
    """Return the environment variables that a worker needs before it imports torch."""
    names = ("DS_ACCELERATOR", "HF_HUB_OFFLINE", "HF_HOME", "TOKENIZERS_PARALLELISM")
    return {"env_vars": {name: os.environ[name] for name in names if name in os.environ}}


def _portable(run: PreparedRun) -> dict[str, Any]:
    """Return the run as JSON-like values, so that driver and workers need not share classes by pickle."""
    return {**vars(run), "config": run.config.model_dump(mode="json")}


def _read_portable(values: dict[str, Any]) -> PreparedRun:
    """Make the run of the values that `_portable` returned."""
    return PreparedRun(**{**values, "config": read_config(values["config"])})


@contextmanager
def _following(run: Path, report: Callable[[dict[str, float]], None], seconds: float = 0.5) -> Iterator[None]:
    """Pass every new line of RUN/metrics.jsonl to `report`, checked every `seconds`, until the context closes.

    Steps that are done again after a kill have new lines, with times of their own.
    """
    closing = threading.Event()
    reported = {json.dumps(line) for line in read_metrics(run)}

    def pass_on() -> None:
        for line in read_metrics(run):
            text = json.dumps(line)
            if text not in reported:
                reported.add(text)
                report(line)

    def follow() -> None:
        while not closing.wait(seconds):
            pass_on()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        closing.set()
        follower.join()
        pass_on()
