"""Runs pretraining in one process, without Ray and DeepSpeed."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.common.ownership import owned
from pretrain.training.engines.plain import PlainEngine
from pretrain.training.interruption import ended_by_signals
from pretrain.training.loop import train
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.setup import build_first_module, build_reader, write_run_config


def run_local(run: PreparedRun, report: Callable[[dict[str, float]], None]) -> None:
    """Train on this machine's first GPU, or on its CPU when it has none; each logged step's metrics go to `report`."""
    with owned(run.folder), ended_by_signals(run.folder):
        write_run_config(run)
        engine = PlainEngine(build_first_module(run), run.config)
        train(engine, build_reader(run, 0, 1), run, report)
