"""Pretraining as one plain process, without Ray and DeepSpeed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pretrain.training.engines.plain import PlainEngine
from pretrain.training.loop import train
from pretrain.training.setup import RunPlan, build_first_module, build_reader, write_run_config


def run_local(planned: RunPlan, report: Callable[[dict[str, float]], None]) -> None:
    """Train on this machine's first GPU, or its CPU."""
    write_run_config(planned)
    engine = PlainEngine(build_first_module(planned), planned.config)
    reader = build_reader(planned, 0, 1)
    train(engine, reader, planned.config, planned.total_steps, Path(planned.run), planned.config_hash, report)
