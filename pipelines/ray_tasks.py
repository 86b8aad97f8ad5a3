"""Runs one function over many shards with Ray Data: one task per shard, results as they come."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import ModuleType
from typing import Any

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed, explain, root_cause
from pipelines.shards.unit import Unit

Result = dict[str, Any]  # what a task returns; JSON
RETRIES = 3  # of a shard whose worker died (a crash, a kill, want of memory); Ray Data itself knows no limit
MOST_DEAD = 3  # shards given up for that before the run ends at once
Batch = dict[str, Any]  # columns (or, of one row, values) by name, as Ray Data hands them over


def for_each(
    function: Callable[[Unit], Result],
    units: list[Unit],
    workers: int | None,
    tell: Callable[[Unit, Result], None],
) -> list[Result]:
    """Run `function` on every unit, at most `workers` at a time; `tell` is called with each as it ends.

    The result must be JSON. Results come back in the order of the units, whatever order they ended in.

    Raises InputError or TaskFailed as soon as `function` raises; TaskFailed when workers died at every attempt at a
    shard, after the others are done unless MOST_DEAD shards were given up.
    """
    if not units:
        return []
    results: dict[str, Result] = {}
    dead: list[str] = []
    by_name = {unit.name: unit for unit in units}
    with running_ray(workers) as ray, quiet_data(ray):
        # A limit above the number of tasks is warned of.
        limit = {"compute": ray.data.TaskPoolStrategy(size=min(workers, len(units)))} if workers else {}
        # One block per shard, so that one shard is one task, whose loss costs one shard's work. Results travel
        # as text: a schema inferred from rows would depend on which row came first.
        shards = ray.data.from_items([asdict(unit) for unit in units], override_num_blocks=len(units))
        done = shards.map(ShardTask(function), num_cpus=1, **limit)
        for row in done.iter_rows():
            raise_failure(row["error"])
            if not row["result"]:
                dead.append(by_name[row["name"]].shard)
                if len(dead) == MOST_DEAD:
                    break
                continue
            unit, result = by_name[row["name"]], json.loads(row["result"])
            results[unit.name] = result
            tell(unit, result)
    if dead:
        raise TaskFailed(
            f"workers died at every attempt at {', '.join(sorted(dead))}: killed for want of memory or from outside, "
            "or crashed by what the shard holds; set workers lower, or take the shard out of the input, and run again"
        )
    return [results[unit.name] for unit in units]


class ShardTask:
    """A function of a unit as Ray Data calls it: a row with the unit's fields in, a row with its result as text out.

    Where the worker died at RETRIES + 1 attempts before, the function is not called: neither result nor error.
    """

    def __init__(self, function: Callable[[Unit], Result]) -> None:
        self.function = function

    def __call__(self, row: Batch) -> dict[str, str]:
        unit = Unit(name=row["name"], uri=row["uri"], size=int(row["size"]))
        if _attempt() > RETRIES:
            return {"name": unit.name, "result": "", "error": ""}
        try:
            return {"name": unit.name, "result": json.dumps(self.function(unit)), "error": ""}
        except Exception as error:
            return {"name": unit.name, "result": "", "error": failure(error)}


def _attempt() -> int:
    """How often Ray began this task before, since its worker died each time; 0 outside of Ray."""
    # Ray has no public name for this. Limits on retries can be given to Ray Data only by deprecated arguments.
    from ray._private.worker import global_worker

    worker: Any = global_worker  # Ray's stubs do not know its attributes
    return int(worker.core_worker.get_current_task_attempt_number()) if worker.connected else 0


def failure(error: Exception) -> str:
    """An error on a worker as text for the driver. An error that is raised there would come back as Ray's own."""
    kind = "input" if isinstance(root_cause(error), InputError) else "task"
    about = {"kind": kind, "line": explain(error), "traceback": "".join(traceback.format_exception(error))}
    return json.dumps(about)


def raise_failure(text: str) -> None:
    """Raise what `failure` made of a worker's error: InputError or TaskFailed, the traceback as a note; "" is none."""
    if not text:
        return
    about = json.loads(text)
    error = InputError(about["line"]) if about["kind"] == "input" else TaskFailed(about["line"])
    error.add_note(about["traceback"])
    raise error


@contextlib.contextmanager
def running_ray(workers: int | None) -> Iterator[ModuleType]:
    """The module `ray`, connected: to the Ray that this process uses already, else to RAY_ADDRESS, else to a new one.

    A new one runs on this machine with `workers` CPUs (None: all) and is stopped at the end.
    """
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:
        # Not "auto": a cluster that someone else left running on this machine is not ours to use.
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def quiet_data(ray: ModuleType) -> Iterator[None]:
    """Switch off Ray Data's own progress bars and its log of every execution, since we report progress ourselves."""
    context = ray.data.DataContext.get_current()
    names = ("enable_progress_bars", "enable_operator_progress_bars", "enable_rich_progress_bars")
    before = {name: getattr(context, name) for name in names if hasattr(context, name)}
    loggers = {
        logging.getLogger("ray.data"): logging.WARNING,
        logging.getLogger("ray.data._internal.progress"): logging.ERROR,  # it warns that bars are off
    }
    levels = {logger: logger.level for logger in loggers}
    for name in before:
        setattr(context, name, False)
    for logger, level in loggers.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)
