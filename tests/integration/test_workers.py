"""Training on Ray Train: a worker that dies, an elastic number of workers, and an error that a restart cannot mend."""

import json
import signal
import threading
from pathlib import Path

import pytest
from ray_workers import training_workers

from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import PreparedRun, prepare_run

STEPS, EVERY, KILLED_AFTER = 48, 10, 15
RECIPE = {
    "model": {
        "projection_dim": 16,
        "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
        "text": {"width": 32, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 32},
    },
    "data": {"batch_size": 16, "accumulation": 2},
    "schedule": {"steps": STEPS, "log_every": 1, "checkpoint_every": EVERY, "log_keys": True},
    "engine": {"zero_stage": 2, "precision": "fp32"},
    "workers": {"count": 2, "minimum": 1, "max_failures": 2},
}


def run(prepared: PreparedRun) -> list[int]:
    from pretrain.training.launch_ray import run_distributed

    steps: list[int] = []
    run_distributed(prepared, lambda metrics: steps.append(int(metrics["step"])))
    return steps


def kill_one_worker(run: Path, killed: list[int], ended: threading.Event) -> None:
    """Send SIGKILL to one training worker, some steps after the first checkpoint; append the last step to `killed`."""
    # No limit in seconds: other work on the machine may be in the way.
    while not killed and not ended.wait(0.02):
        if list_checkpoints(run) and read_metrics(run)[-1]["step"] >= KILLED_AFTER:
            for process in training_workers()[:1]:
                process.send_signal(signal.SIGKILL)
                killed.append(int(read_metrics(run)[-1]["step"]))


@pytest.mark.ray
def test_after_a_workers_death_the_steps_since_the_checkpoint_are_repeated(
    curated_icons, ray_cluster, tmp_path
) -> None:
    folder, killed, ended = tmp_path / "run", [], threading.Event()
    prepared = prepare_run(DualEncoderConfig.model_validate(RECIPE), curated_icons, str(folder))
    killer = threading.Thread(target=kill_one_worker, args=(folder, killed, ended))
    killer.start()
    try:
        run(prepared)
    finally:
        ended.set()
        killer.join()
    assert killed, "nothing was killed: the run proves nothing"
    assert [line["step"] for line in read_metrics(folder)] == list(range(1, STEPS + 1))
    assert list_checkpoints(folder)[-1].name == f"step-{STEPS:08d}"
    assert killed[0] < STEPS, "the kill came too late to prove anything"
    files = list((folder / "keys").glob("rank-*-of-2.jsonl"))
    assert len(files) == 2
    for file in files:  # the keys of the steps that were done twice are listed once
        assert [json.loads(line)["step"] for line in file.read_text().splitlines()] == list(range(STEPS))


@pytest.mark.ray
def test_a_loss_that_is_not_finite_is_raised_once_and_named(curated_icons, ray_cluster, tmp_path) -> None:
    config = RECIPE | {"optimizer": {"learning_rate": 1e30, "clip_norm": 0}}
    prepared = prepare_run(DualEncoderConfig.model_validate(config), curated_icons, str(tmp_path / "run"))
    with pytest.raises(FloatingPointError, match=r"not finite at step \d+; lower optimizer.learning_rate"):
        run(prepared)
    assert not (tmp_path / "run" / "fault.json").exists()
