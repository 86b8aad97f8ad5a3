"""DeepSpeed ranks branch off a run of one process: same weights and same samples at every ZeRO stage.

Loop and engine run as in the workers, but in spawned processes instead of Ray's.
"""

import io
import json
from contextlib import closing
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import multiprocessing as mp

from pipelines.shards.writer import write_shard
from pretrain.ranks import process_group
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import build_first_module, build_reader, prepare_run, write_run_config

STEPS, BRANCH = 6, 4
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
    "optimizer": {"learning_rate": 0.003},
    "schedule": {
        "steps": STEPS,
        "log_every": 1,
        "checkpoint_every": 100,
        "keep_steps": [BRANCH],
        "log_keys": True,
    },
}


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> str:
    """Forty pairs of one-coloured images, committed."""
    folder = tmp_path_factory.mktemp("data") / "curated"
    samples = []
    for number in range(40):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (number * 6, 128, 255 - number * 5)).save(file, "PNG")
        samples.append((f"{number:04d}", {"png": file.getvalue(), "txt": f"picture {number}".encode()}))
    info = write_shard(str(folder / "00000.tar"), samples)
    (folder / "manifests").mkdir()
    outputs = [{"tar": "00000.tar", "samples": info.samples, "sha256": info.sha256}]
    (folder / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
    return str(folder)


def recipe(stage: int, workers: int, start: dict) -> DualEncoderConfig:
    sections = {
        "engine": {"zero_stage": stage, "precision": "fp32"},
        "workers": {"count": workers},
        "start": start,
    }
    return DualEncoderConfig.model_validate(RECIPE | sections)


def one_rank(rank: int, ranks: int, stage: int, data: str, run: str, start: dict) -> None:
    torch.set_num_threads(1)
    store = Path(f"{run}.store")
    from pretrain.training.engines.deepspeed import DeepSpeedEngine
    from pretrain.training.loop import train

    with process_group(store, rank, ranks):
        prepared = prepare_run(recipe(stage, ranks, start), data, run)
        engine = DeepSpeedEngine(build_first_module(prepared), prepared.config)
        with closing(engine):
            train(engine, build_reader(prepared, rank, ranks), prepared, lambda _: None)


def keys_read(run: Path) -> dict[int, list[str]]:
    """Step → keys of all ranks in rank order."""
    keys_by_step: dict[int, list[str]] = {}
    for file in sorted((run / "keys").iterdir()):
        for line in map(json.loads, file.read_text().splitlines()):
            keys_by_step.setdefault(line["step"], []).extend(line["keys"])
    return keys_by_step


@pytest.mark.parametrize("stage", [1, 3])
def test_a_branch_on_two_ranks_starts_from_the_state_of_the_plain_run(stage, curated, tmp_path):
    straight, branch = tmp_path / "straight", tmp_path / "branch"
    run_local(prepare_run(recipe(0, 1, {}), curated, str(straight)), lambda _: None)
    start = {"weights": str(straight / "checkpoints" / f"step-{BRANCH:08d}"), "step": BRANCH}
    write_run_config(prepare_run(recipe(stage, 2, start), curated, str(branch)))
    mp.start_processes(one_rank, (2, stage, curated, str(branch), start), nprocs=2, start_method="spawn")

    undisturbed = keys_read(straight)
    assert keys_read(branch) == {step: undisturbed[step] for step in range(BRANCH, STEPS)}
    before, after = ({line["step"]: line for line in read_metrics(run)} for run in (straight, branch))
    assert sorted(after) == list(range(BRANCH + 1, STEPS + 1))
    for name in ("train/loss", "train/gradient_norm"):
        assert after[BRANCH + 1][name] == pytest.approx(before[BRANCH + 1][name], rel=1e-4)
    assert after[STEPS]["train/learning_rate"] == before[STEPS]["train/learning_rate"]
