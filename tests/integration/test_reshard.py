"""A killed run resumes with another number of workers: the same samples, and losses that stay close.

Loop and engine run as in the workers, but in spawned processes instead of Ray's. The undisturbed run is one process
without DeepSpeed.
"""

import io
import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import multiprocessing as mp

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.ranks import process_group
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.checkpoint import list_checkpoints, read_state
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.reshard import reshard_run
from pretrain.training.setup import build_module, build_reader, prepare_run, write_run_config

PAIRS, STEPS, KILLED_AT = 40, 8, 5
RECIPE = {
    "model": {
        "projection_dim": 16,
        "image": {
            "image_size": 32,
            "width": 16,
            "depths": [1, 1],
            "heads": [2, 2],
            "window": 4,
            "drop_path": 0,
        },
        "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "dropout": 0, "max_tokens": 16},
    },
    "data": {"batch_size": 8},
    "optimizer": {"weight_decay": 0.3, "learning_rate": 0.003},
    "schedule": {"steps": STEPS, "log_every": 1, "checkpoint_every": 2, "log_keys": True},
}


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> str:
    """Forty pairs of one-coloured images, committed."""
    folder = tmp_path_factory.mktemp("data") / "curated"
    samples = []
    for number in range(PAIRS):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (number * 6, 128, 255 - number * 5)).save(file, "PNG")
        caption = f"picture {number} of {number * 7 % 10} things"
        samples.append((f"{number:04d}", {"png": file.getvalue(), "txt": caption.encode()}))
    info = write_shard(str(folder / "00000.tar"), samples)
    (folder / "manifests").mkdir()
    outputs = [{"tar": "00000.tar", "samples": info.samples, "sha256": info.sha256}]
    (folder / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
    return str(folder)


def recipe(stage: int, workers: int) -> DualEncoderConfig:
    sections = {"engine": {"zero_stage": stage, "precision": "fp32"}, "workers": {"count": workers}}
    return DualEncoderConfig.model_validate(RECIPE | sections)


def one_rank(rank: int, ranks: int, stage: int, data: str, run: str, killed_at: int) -> None:
    torch.set_num_threads(1)
    store = Path(f"{run}.store-{ranks}-{killed_at}")
    from pretrain.training.engines.deepspeed import DeepSpeedEngine
    from pretrain.training.loop import train

    def report(metrics: dict[str, float]) -> None:
        if metrics["step"] == killed_at and rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with process_group(store, rank, ranks):
        prepared = prepare_run(recipe(stage, ranks), data, run)
        engine = DeepSpeedEngine(build_module(prepared.config), prepared.config)
        with closing(engine):
            train(engine, build_reader(prepared, rank, ranks), prepared, report)


def start(ranks: int, stage: int, data: str, run: Path, killed_at: int = 0) -> None:
    write_run_config(prepare_run(recipe(stage, ranks), data, str(run)))
    arguments = (ranks, stage, data, str(run), killed_at)
    mp.start_processes(one_rank, arguments, nprocs=ranks, start_method="spawn")


def losses(run: Path) -> dict[int, float]:
    return {line["step"]: line["train/loss"] for line in read_metrics(run)}


def keys_read(run: Path) -> dict[tuple[str, int], list[str]]:
    """(file's number of ranks, step) → keys of all ranks in rank order."""
    keys_by_step: dict[tuple[str, int], list[str]] = {}
    for file in sorted((run / "keys").iterdir()):
        ranks = file.stem.rpartition("-")[2]
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            keys_by_step.setdefault((ranks, entry["step"]), []).extend(entry["keys"])
    return keys_by_step


@pytest.mark.parametrize(
    ("stage", "before", "after", "next_stage"), [(0, 2, 1, 0), (1, 1, 2, 1), (2, 2, 1, 1), (3, 2, 1, 3)]
)
def test_a_killed_run_resumes_with_another_number_of_workers(
    stage, before, after, next_stage, curated, tmp_path
) -> None:
    """Stages 1 and 2 may change places too: here 2 becomes 1."""
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"
    run_local(prepare_run(recipe(0, 1), curated, str(straight)), lambda _: None)
    with pytest.raises(mp.ProcessExitedException):
        start(before, stage, curated, disturbed, KILLED_AT)
    resumed_from = read_state(list_checkpoints(disturbed)[-1])
    assert resumed_from.ranks == before
    assert 2 <= resumed_from.step < KILLED_AT

    start(after, next_stage, curated, disturbed)
    undisturbed = {step: keys for (_, step), keys in keys_read(straight).items()}
    all_keys = keys_read(disturbed)
    assert {step for ranks, step in all_keys if ranks == str(after)} == set(range(resumed_from.step, STEPS))
    assert {step for _, step in all_keys} == set(range(STEPS))
    for (_, step), keys in all_keys.items():
        assert keys == undisturbed[step]
    assert losses(disturbed) == pytest.approx(losses(straight), rel=2e-4)
    assert read_state(list_checkpoints(disturbed)[-1]).ranks == after


def test_reshard_refuses_what_does_not_fit(curated, tmp_path) -> None:
    run = tmp_path / "run"
    prepared = prepare_run(recipe(0, 1), curated, str(run))
    write_run_config(prepared)
    with pytest.raises(InputError, match="no checkpoint yet"):
        reshard_run(str(run), 2)
    run_local(prepared, lambda _: None)
    with pytest.raises(InputError, match="world_size is 3.*batch_size 8, 3 does not"):
        reshard_run(str(run), 3)
    done = reshard_run(str(run), 4)
    assert (done.step, done.written_by, done.ready_for, done.converted) == (STEPS, 1, 4, False)
