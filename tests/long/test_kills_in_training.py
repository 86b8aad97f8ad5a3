"""A run that is killed at random moments and started again ends as an undisturbed one: same losses, same weights.

Twelve of fifteen kills are of `loupe pretrain --local`, three of a run of two Ray workers, of which one worker or the
whole session is killed. Moments are drawn from the seed in a failing test's name.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from small_runs import sixteen_pairs

from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.metrics import read_metrics

STEPS, KILLS, OF_RAY = 40, 15, 3
RECIPE = {
    "name": "kills",
    "model": {
        "projection_dim": 16,
        "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
        "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 16},
    },
    "data": {"batch_size": 4},
    "schedule": {"steps": STEPS, "log_every": 1, "checkpoint_every": 3, "log_keys": True},
    "engine": {"zero_stage": 2, "precision": "fp32"},
    "workers": {"count": 2, "cpus_per_worker": 0.5},
}
TIMES = ("seconds", "per_second", "wait_percent")


def start(recipe: Path, data: str, run: Path, local: bool) -> subprocess.Popen:
    """Start `loupe pretrain` as the leader of a session of its own; Ray's processes belong to it."""
    command = [sys.executable, "-m", "cluster.cli", "pretrain", str(recipe)]
    command += ["--data", data, "--output", str(run), *(["--local"] if local else [])]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with (run.parent / f"{run.name}.log").open("a") as log:
        return subprocess.Popen(
            command,
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def finish(process: subprocess.Popen, run: Path) -> None:
    code = process.wait(timeout=600)
    assert code == 0, (run.parent / f"{run.name}.log").read_text()[-3000:]


def kill(process: subprocess.Popen, whole: bool) -> None:
    """SIGKILL to the process and all that it started, or to one of its training workers."""
    family = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in family if any("RayTrainWorker" in part for part in child.cmdline())]
    targets = [psutil.Process(process.pid), *family] if whole or not workers else workers[:1]
    for target in targets:
        try:
            target.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    if whole or not workers:
        process.wait()


def outcome(run: Path) -> tuple[list[dict[str, float]], str, dict[str, list[dict]]]:
    """Return metrics without times, the sha256 of the last weights, and the lines of keys by file."""
    metrics = [
        {name: value for name, value in line.items() if not name.endswith(TIMES)}
        for line in read_metrics(run)
    ]
    weights = (list_checkpoints(run)[-1] / "model.safetensors").read_bytes()
    keys = {
        file.name: [json.loads(line) for line in file.read_text().splitlines()]
        for file in sorted((run / "keys").iterdir())
    }
    return metrics, hashlib.sha256(weights).hexdigest(), keys


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> tuple[Path, str]:
    """The recipe's file and the data."""
    folder = tmp_path_factory.mktemp("given")
    recipe = folder / "kills.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    return recipe, sixteen_pairs(folder / "data")


def undisturbed(given: tuple[Path, str], folder: Path, local: bool) -> tuple[Path, float]:
    """A finished run, and the seconds that it took."""
    run, began = folder / "undisturbed", time.monotonic()
    finish(start(*given, run, local), run)
    return run, time.monotonic() - began


def check_kills(given: tuple[Path, str], folder: Path, local: bool, seeds: range) -> None:
    """Kill a run at a moment of each seed, start it again, and compare its end with an undisturbed run's."""
    reference, seconds = undisturbed(given, folder, local)
    expected = outcome(reference)
    assert [line["step"] for line in expected[0]] == list(range(1, STEPS + 1))
    for seed in seeds:
        draw = random.Random(seed)
        run = folder / f"killed-{seed}"
        process = start(*given, run, local)
        # Half of the kills fall on any moment, half on one after a drawn step: the start takes most of the time.
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0.2, 1.0) * seconds)
        else:
            step, deadline = draw.randint(1, STEPS - 5), time.monotonic() + 20 * seconds
            while process.poll() is None and time.monotonic() < deadline:
                done = read_metrics(run)
                if done and done[-1]["step"] >= step:
                    break
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.02))
        if process.poll() is None:
            kill(process, whole=local or seed % 2 == 0)
        process.wait(timeout=600)
        finish(start(*given, run, local), run)
        assert outcome(run) == expected, f"seed {seed}"
        assert not list((run / "checkpoints").glob(".*")), f"seed {seed}"


@pytest.mark.long
def test_a_killed_run_ends_as_an_undisturbed_one(given, tmp_path, repetitions) -> None:
    kills = repetitions(KILLS)
    check_kills(given, tmp_path, local=True, seeds=range(max(1, kills - OF_RAY)))


@pytest.mark.long
def test_a_killed_run_of_ray_workers_ends_as_an_undisturbed_one(given, tmp_path, request) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("only with --long: each start of Ray takes 20 CPU seconds")
    check_kills(given, tmp_path, local=False, seeds=range(100, 100 + OF_RAY))
