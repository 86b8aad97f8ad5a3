"""A run of two workers, killed with SIGKILL, resumes to the same losses and samples as an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ray_workers import training_workers

from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.metrics import read_metrics

STEPS, EVERY = 48, 8
RECIPE = {
    "name": "resume",
    "model": {
        "projection_dim": 16,
        "image": {
            "image_size": 32,
            "width": 16,
            "depths": [1, 1],
            "heads": [2, 2],
            "window": 4,
            "drop_path": 0.1,
        },
        "text": {"width": 32, "layers": 1, "heads": 2, "feed_forward": 32, "dropout": 0.1, "max_tokens": 32},
    },
    "data": {"batch_size": 16, "shuffle_window": 50},
    "schedule": {"steps": STEPS, "log_every": 1, "checkpoint_every": EVERY, "log_keys": True},
    "engine": {"zero_stage": 2, "precision": "fp32"},
    "workers": {"count": 2},
}


def start(recipe: Path, data: str, run: Path, address: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "cluster.cli",
        "pretrain",
        str(recipe),
        "--data",
        data,
        "--output",
        str(run),
    ]
    return subprocess.Popen(
        command, env=os.environ | {"RAY_ADDRESS": address}, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


def kill_all(driver: subprocess.Popen) -> None:
    """SIGKILL to the driver and to every training worker of the Ray that these tests started."""
    driver.send_signal(signal.SIGKILL)
    for process in training_workers():
        process.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stderr.close()


def losses(run: Path) -> dict[int, float]:
    return {line["step"]: line["train/loss"] for line in read_metrics(run)}


def keys_read(run: Path) -> dict[int, set[str]]:
    """Step → keys over all ranks; a step done twice must have read the same."""
    keys_by_step: dict[int, set[str]] = {}
    for file in (run / "keys").iterdir():
        keys_of_rank: dict[int, set[str]] = {}
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            assert keys_of_rank.setdefault(entry["step"], set(entry["keys"])) == set(entry["keys"])
        for step, keys in keys_of_rank.items():
            keys_by_step[step] = keys_by_step.get(step, set()) | keys
    return keys_by_step


@pytest.mark.ray
def test_a_killed_run_resumes_to_the_same_losses(curated_icons, ray_cluster, tmp_path) -> None:
    recipe = tmp_path / "resume.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    address = ray_cluster.get_runtime_context().gcs_address
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    finish(start(recipe, curated_icons, undisturbed, address))
    assert list(losses(undisturbed)) == list(range(1, STEPS + 1))

    driver = start(recipe, curated_icons, disturbed, address)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and driver.poll() is None:
        done = losses(disturbed)
        if done and max(done) > EVERY and list_checkpoints(disturbed):
            break
        time.sleep(0.01)
    kill_all(driver)
    killed_at = max(losses(disturbed))
    assert EVERY < killed_at < STEPS, "the kill came too late to prove anything"
    assert list_checkpoints(disturbed)[-1].name < f"step-{STEPS:08d}"

    finish(start(recipe, curated_icons, disturbed, address))
    assert losses(disturbed) == pytest.approx(losses(undisturbed), rel=1e-6)
    assert keys_read(disturbed) == keys_read(undisturbed)
    assert {len(keys) for keys in keys_read(undisturbed).values()} == {16}
