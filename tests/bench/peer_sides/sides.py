"""The three sides: how each is started for some steps, what its towers cost, and its losses by step."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LOGGED = 10  # steps between two lines of the logs

# One thread for computing on every side; no GPU, no network.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
}


class Spent(NamedTuple):
    """Seconds of a command: of CPU (user and system, of its whole process tree), and on the clock."""

    cpu: float
    wall: float


class Side(Protocol):
    """One of the trainings that are compared."""

    name: str

    def command(self, steps: int, folder: Path, stages: Path | None = None) -> list[str]:
        """The command that trains for `steps` steps; it may write into `folder`, and takes itself apart to `stages`."""
        ...

    def counts(self) -> dict[str, float]:
        """Parameters and FLOPs a pair."""
        ...

    def losses(self, folder: Path) -> dict[int, float]:
        """Step → loss, as the training logged it."""
        ...


@dataclass(frozen=True)
class Loupe:
    """`loupe pretrain --local`: one process, in which one thread reads and one trains."""

    recipe: Path
    data: str
    batches: int
    name: str = "loupe"

    def command(self, steps: int, folder: Path, stages: Path | None = None) -> list[str]:
        run = str(folder / "run")
        if stages:
            return self._side("stages", str(stages), run, str(steps))
        command = [
            sys.executable,
            "-m",
            "cluster.cli",
            "pretrain",
            str(self.recipe),
            "--local",
            "--data",
            self.data,
        ]
        return [*command, "--output", run, "--set", "workers.count=1", "--set", f"schedule.steps={steps}"]

    def counts(self) -> dict[str, float]:
        return json.loads(said(self._side("count", str(self.batches))))

    def losses(self, folder: Path) -> dict[int, float]:
        lines = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())
        return {line["step"]: line["train/contrastive_loss"] for line in lines}

    def write_batches(self, file: Path) -> None:
        """Write the first batches for the bare loop."""
        said(self._side("batches", str(file), str(self.batches)))

    def _side(self, *words: str) -> list[str]:
        return [sys.executable, str(HERE / "loupe_side.py"), str(self.recipe), self.data, *words]


@dataclass(frozen=True)
class BareLoop:
    """Towers of the same classes on batches in memory: one process, one thread."""

    recipe: Path
    batches: Path
    name: str = "bare loop"

    def command(self, steps: int, folder: Path, stages: Path | None = None) -> list[str]:
        return [*self._side("train", str(steps)), *(["--stages", str(stages)] if stages else [])]

    def counts(self) -> dict[str, float]:
        return json.loads(said(self._side("count")))

    def losses(self, folder: Path) -> dict[int, float]:
        return {}

    def _side(self, *words: str) -> list[str]:
        return [sys.executable, str(HERE / "bare_loop.py"), str(self.recipe), str(self.batches), *words]


@dataclass(frozen=True)
class OpenClip:
    """`open_clip_train.main` in one process; with `workers` 0 it reads there too, as loupe does."""

    python: Path
    model: Path
    tars: tuple[str, ...]
    options: tuple[str, ...]
    batch: int
    name: str = "open_clip"

    def command(self, steps: int, folder: Path, stages: Path | None = None) -> list[str]:
        training = ["--train-data", "::".join(self.tars), "--train-num-samples", str(steps * self.batch)]
        training += ["--epochs", "1", "--batch-size", str(self.batch), "--warmup", str(max(1, steps // 10))]
        training += [
            "--log-every-n-steps",
            str(LOGGED),
            "--logs",
            str(folder),
            "--name",
            "run",
            *self.options,
        ]
        return [*self._side("train", *(["--stages", str(stages)] if stages else [])), "--", *training]

    def counts(self) -> dict[str, float]:
        return json.loads(said(self._side("count")).splitlines()[-1])

    def losses(self, folder: Path) -> dict[int, float]:
        return losses_of_log((folder / "run" / "out.log").read_text(), self.batch)

    def _side(self, *words: str) -> list[str]:
        return [str(self.python), str(HERE / "open_clip_side.py"), str(self.model), *words]


def losses_of_log(log: str, batch: int) -> dict[int, float]:
    """Step → loss of open_clip's log, whose lines name the samples seen and the loss of that step."""
    found = re.findall(r"Train Epoch: 0 \[ *(\d+)/.*?Contrastive_loss: ([\d.]+)", log)
    return {int(seen) // batch: float(loss) for seen, loss in found}


def spent_by(command: Sequence[str]) -> Spent:
    """Run a command to its end; what it and all processes that it waited for have spent."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    said(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(cpu, time.monotonic() - began)


def said(command: Sequence[str]) -> str:
    """What a command writes to standard output; ends the bench with its last words where it fails."""
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout
