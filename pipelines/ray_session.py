"""Ray as this project uses it: connected or started for a while, and quiet, since we report progress ourselves."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any


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
