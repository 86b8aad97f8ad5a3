"""A run ended by a signal exits with 128 + its number, says so in one line, and leaves no process or partial file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from small_runs import MODEL, sixteen_pairs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_local_run_ends_with_one_line(number, tmp_path):
    (tmp_path / "data").mkdir()
    data, run = sixteen_pairs(tmp_path / "data"), tmp_path / "run"
    recipe = {
        "model": MODEL,
        "data": {"batch_size": 4},
        "engine": {"precision": "fp32"},
        "schedule": {"steps": 100_000, "log_every": 1, "checkpoint_every": 1},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = ["pretrain", str(tmp_path / "recipe.yaml"), "--local", "--data", data, "--output", str(run)]
    process = subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    while process.poll() is None and not list(run.glob("checkpoints/step-*")):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert errors.splitlines()[-1].startswith(f"loupe: ended by {number.name}; ")
    assert "Traceback" not in errors
    assert "terminate called" not in errors
    assert not [child for child in children if child.is_running()]
    assert not list(run.glob("checkpoints/.*.partial/state.json"))
