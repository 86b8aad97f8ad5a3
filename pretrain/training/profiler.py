"""Records a torch profiler trace of a few steps, for `chrome://tracing` or Perfetto."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

SKIPPED, TRACED = 4, 6  # steps 5 to 10 of this start; the first ones are slower than the rest


def step_profiler(run: Path, rank: int, device: torch.device) -> profile:
    """Return a profiler context; call its `step()` after each step.

    It writes RUN/profile/rank-N.json after the last traced step.
    """

    def write(profiler: profile) -> None:
        folder = run / "profile"
        folder.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(folder / f"rank-{rank}.json"))

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    return profile(
        activities=activities,
        schedule=schedule(wait=SKIPPED - 1, warmup=1, active=TRACED, repeat=1),
        on_trace_ready=write,
    )
