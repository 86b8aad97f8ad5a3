"""Metrics of a run: named with their unit, one JSON object a logged step."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pretrain.objectives.distributed import world


class Meter:
    """Means of what was recorded since the last `read`, and shares of the wall clock.

    Sums stay on the device until `read`: a step does not wait for its own numbers. Values that are not finite (the
    gradient norm of a step that fp16's loss scaling skipped) are left out of their mean.
    """

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        """Forget what was recorded, and start the clocks anew."""
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self._counts: dict[str, Tensor | float] = defaultdict(float)
        self._waited = 0.0
        self._images = 0
        self._steps = 0
        self._slowest = 0.0
        self._since, self._cpu_since = time.perf_counter(), time.process_time()
        self._began = self._ended = self._since

    def record(self, values: dict[str, Tensor | float], images: int, waited: float) -> None:
        """One step: scalars by name, images over all ranks, seconds spent waiting for data."""
        for name, value in values.items():
            if isinstance(value, Tensor):
                finite = torch.isfinite(value)
                self._sums[name] += torch.where(finite, value.detach().float(), 0.0)
                self._counts[name] += finite
            else:
                self._sums[name] += value
                self._counts[name] += 1
        self._waited += waited
        self._images += images
        self._steps += 1
        self._began, self._ended = self._ended, time.perf_counter()
        self._slowest = max(self._slowest, self._ended - self._began)

    def read(self, device: torch.device, **totals: float) -> dict[str, float]:
        """The means over steps and ranks; `totals`, summed over ranks; images/s, step times, share of waiting.

        `train/step_cpu_seconds` is what all threads of this process took, on whatever cores they were given: of a
        machine that others share it says more than the step time. Starts anew. Every rank must call it after the same
        steps. `train/slowest_step_seconds` is this rank's slowest step: what happens between two steps (a checkpoint)
        counts to the later one, waiting for the device at the end to the last.
        """
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        names = sorted(self._sums)
        own = [
            *(self._sums[n] for n in names),
            *(self._counts[n] for n in names),
            self._waited,
            *totals.values(),
        ]
        table = torch.stack([torch.as_tensor(x, dtype=torch.float64, device=device) for x in own])
        _, ranks = world()
        if ranks > 1:
            dist.all_reduce(table)
        numbers = table.tolist()
        sums, counts, (waited, *summed) = (
            numbers[: len(names)],
            numbers[len(names) : 2 * len(names)],
            numbers[2 * len(names) :],
        )
        result = {
            name: total / count for name, total, count in zip(names, sums, counts, strict=True) if count
        }
        result["train/images_per_second"] = self._images / seconds
        result["train/step_seconds"] = seconds / max(1, self._steps)
        if self._steps:
            result["train/slowest_step_seconds"] = max(self._slowest, now - self._began)
        result["train/step_cpu_seconds"] = (time.process_time() - self._cpu_since) / max(1, self._steps)
        result["data/wait_percent"] = 100 * waited / ranks / seconds
        result |= {f"data/{name}": total for name, total in zip(totals, summed, strict=True)}
        self._restart()
        return result


class MetricsLog:
    """RUN/metrics.jsonl and RUN/tensorboard, of one rank.

    On resume the lines after the checkpoint's step are dropped, so no step stands twice.
    """

    def __init__(self, run: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = run / "metrics.jsonl"
        kept = [line for line in read_metrics(run) if line["step"] <= first_step]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=first_step + 1)

    def append(self, metrics: dict[str, Any]) -> None:
        """One logged step."""
        with self.path.open("a") as file:
            file.write(json.dumps(metrics) + "\n")
        for name, value in metrics.items():
            if name != "step":
                self._board.add_scalar(name, value, metrics["step"])

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All whole lines of RUN/metrics.jsonl; a last line that a kill cut short is left out."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
