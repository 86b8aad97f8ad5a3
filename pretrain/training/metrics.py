"""Metrics of a run: their names carry the unit; one JSON object per logged step."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pipelines.common.files import write_text
from pretrain.ranks import world


class Meter:
    """Collects the mean of each recorded value since the last `read`, and measures times.

    Sums stay on the device until `read`, so a step does not wait for its own values. Values that are not finite (the
    gradient norm of a step that the loss scaling of fp16 skipped) are left out of their mean.
    """

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        """Clear what was recorded and restart the clocks."""
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self._counts: dict[str, Tensor | float] = defaultdict(float)
        self._waited = 0.0
        self._images = 0
        self._steps = 0
        self._slowest = 0.0
        self._since, self._cpu_since = time.perf_counter(), time.process_time()
        self._began = self._ended = self._since

    def record(self, values: dict[str, Tensor | float], images: int, waited: float) -> None:
        """Record one step: scalars by name, number of images over all ranks, seconds of waiting for data."""
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
        """Return the metrics since the last `read`, and restart. Every rank must call it after the same steps.

        - recorded values: means over steps and ranks; `totals`: `data/NAME`, summed over ranks;
        - `train/images_per_second`, `train/step_seconds` (mean), `data/wait_percent` (mean over ranks);
        - `train/slowest_step_seconds`: this rank's slowest step. Work between two steps (a checkpoint) counts as part
          of the later step; waiting for the device in `read` counts as part of the last one;
        - `train/step_cpu_seconds`: CPU time per step of all threads of this process. On a machine shared with other
          processes it says more than the step time.
        """
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        names = sorted(self._sums)
        values = [
            *(self._sums[n] for n in names),
            *(self._counts[n] for n in names),
            self._waited,
            *totals.values(),
        ]
        table = torch.stack([torch.as_tensor(x, dtype=torch.float64, device=device) for x in values])
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
    """Writes RUN/metrics.jsonl and RUN/tensorboard; only one rank may open it.

    On resume the lines after the checkpoint's step are dropped, and one that a kill cut short, so no step appears
    twice; the file is replaced in one move, so a kill during it loses nothing.
    """

    def __init__(self, run: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = run / "metrics.jsonl"
        kept = [line for line in read_metrics(run) if line["step"] <= first_step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=first_step + 1)

    # Any: JSON values; `step` is an int, the metrics are floats.
    def append(self, metrics: dict[str, Any]) -> None:
        """Write the metrics of one logged step; `step` is among them."""
        with self.path.open("a") as file:
            file.write(json.dumps(metrics) + "\n")
        for name, value in metrics.items():
            if name != "step":
                self._board.add_scalar(name, value, metrics["step"])

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()


# Any: JSON values, as in `append`.
def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Read all complete lines of RUN/metrics.jsonl; a last line that a kill cut short is left out."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
