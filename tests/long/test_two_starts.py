"""Two starts of one command in one folder at once: one goes on and comes to the right end, the other is refused.

A start that is refused may cost 5 s of CPU time at most, so it must not have loaded torch or ray.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from raw_shards import pairs, write_tar

from pipelines.common.lock_file import NAME
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate

MOST_CPU_SECONDS = 5
PAIRS = 16
STEPS = 6

CURATION = "min_side: 64\nworkers: 1\n"
PRETRAINING = """
model: {projection_dim: 16, image: {image_size: 32, width: 16, depths: [1, 1], heads: [2, 2], window: 4},
        text: {width: 16, layers: 1, heads: 2, feed_forward: 32, max_tokens: 16}}
data: {batch_size: 4}
engine: {precision: fp32}
schedule: {steps: 6, log_every: 1}
"""


@dataclass
class Ended:
    """How a process ended, and the CPU seconds that it and its children took."""

    code: int
    errors: str
    seconds: float


class Start:
    """A `loupe` process, whose CPU time is known when it ends."""

    def __init__(self, words: list[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cluster.cli", *words],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # the winner is killed with the processes of its Ray
            )
        self.ended: Ended | None = None

    def poll(self, block: bool = False) -> Ended | None:
        """How it ended; None while it runs."""
        if self.ended is None:
            pid, status, usage = os.wait4(self.process.pid, 0 if block else os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                seconds = usage.ru_utime + usage.ru_stime
                self.ended = Ended(self.process.returncode, self.log.read_text(), seconds)
        return self.ended

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        if self.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.poll(block=True)


def two_starts(words: list[str], folder: Path, to_the_end: bool) -> tuple[Ended, Ended | None, int]:
    """(the one that was refused, the other where it was let go on, the process id of the other)."""
    starts = [Start(words, folder / f"{name}.log") for name in "ab"]
    try:
        first = None
        until = time.monotonic() + 240
        while first is None and time.monotonic() < until:
            time.sleep(0.02)
            first = next((start for start in starts if start.poll() is not None), None)
        assert first is not None, "neither was refused"
        assert first.ended is not None
        winner = next(start for start in starts if start is not first)
        return first.ended, winner.poll(block=True) if to_the_end else None, winner.process.pid
    finally:
        for start in starts:
            start.kill()


def check(words: list[str], folder: Path, output: Path, whole: Callable[[], None], times: int) -> None:
    """Start twice at once, `times` times; the first time the winner goes on to its end."""
    took = []
    for number in range(times):
        refused, winner, pid = two_starts(words, folder, to_the_end=number == 0)
        assert refused.code == 2, f"start {number}: {refused.errors}"
        assert refused.errors.startswith(f"loupe: output {output} is in use by process {pid} on ")
        assert refused.errors.count("\n") == 1
        assert refused.seconds < MOST_CPU_SECONDS
        took.append(refused.seconds)
        if winner is not None:
            assert winner.code == 0, winner.errors
            assert not (output / NAME).exists()
            whole()
            output.rename(folder / "whole")
    print(f"refused {times} of {times}; CPU seconds at most {max(took):.2f}")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two raw shards of 16 pairs in all."""
    write_tar(tmp_path / "raw" / "0.tar", pairs(PAIRS // 2, "a"))
    write_tar(tmp_path / "raw" / "1.tar", pairs(PAIRS // 2, "b"))
    return tmp_path / "raw"


@pytest.mark.long
def test_two_curations(tmp_path, raw, repetitions):
    (tmp_path / "recipe.yaml").write_text(CURATION)
    output = tmp_path / "out"
    words = ["curate", str(tmp_path / "recipe.yaml"), "--input", str(raw), "--output", str(output)]

    def whole() -> None:
        shards = committed_shards(output)
        assert [shard.samples for shard in shards] == [PAIRS // 2] * 2
        kept = {key: members for shard in shards for key, members in iterate(shard.uri)}
        expected = pairs(PAIRS // 2, "a") | pairs(PAIRS // 2, "b")
        assert {f"{key}.{name}" for key, members in kept.items() for name in members} >= set(expected)
        assert all(kept[name[:-4]]["jpg"] == data for name, data in expected.items() if name.endswith("jpg"))

    check(words, tmp_path, output, whole, repetitions(10))


@pytest.mark.long
def test_two_trainings(tmp_path, raw, repetitions):
    (tmp_path / "recipe.yaml").write_text(PRETRAINING)
    output = tmp_path / "run"
    words = [
        "pretrain",
        str(tmp_path / "recipe.yaml"),
        "--data",
        str(raw),
        "--output",
        str(output),
        "--local",
    ]

    def whole() -> None:
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
        assert (output / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors").is_file()

    check(words, tmp_path, output, whole, repetitions(10))
