"""Locked towers on two DeepSpeed ranks at ZeRO 0 to 2, against the plain engine in one process.

Loop and engine run as in the workers, but in spawned processes instead of Ray's; each spawn does all stages.
"""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import STILL, sixteen_pairs, small_recipe
from torch import multiprocessing as mp

from pretrain.ranks import barrier, process_group
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import build_first_module, build_reader, prepare_run, write_run_config

RANKS, STEPS, UNLOCK, STAGES = 2, 6, 3, (0, 1, 2)
IMAGE = "dual_encoder.vision_model."


def recipe(workers: int, stage: int, image: dict, precision: str = "fp32") -> DualEncoderConfig:
    model = STILL | {"image": STILL["image"] | {"train": image}}
    schedule = {"steps": STEPS, "log_every": 1, "checkpoint_every": 1, "keep_checkpoints": STEPS}
    sections = {"workers": {"count": workers}, "engine": {"zero_stage": stage, "precision": precision}}
    optimizer = {"learning_rate": 0.003, "weight_decay": 0.1}
    return small_recipe(schedule, model=model, optimizer=optimizer, data={"batch_size": 8}, **sections)


UNLOCKED = {"from_step": UNLOCK, "rate": 0.5}
FOR_EVER = {"from_step": None}


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def train_on(rank: int, data: str, run: Path, config: DualEncoderConfig) -> None:
    from pretrain.training.engines.deepspeed import DeepSpeedEngine
    from pretrain.training.loop import train

    prepared = prepare_run(config, data, str(run))
    if rank == 0:
        write_run_config(prepared)
    barrier()
    engine = DeepSpeedEngine(build_first_module(prepared), prepared.config)
    with closing(engine):
        train(engine, build_reader(prepared, rank, RANKS), prepared, lambda _: None)
    barrier()


def one_rank(rank: int, data: str, folder: str) -> None:
    torch.set_num_threads(1)
    root = Path(folder)
    with process_group(root / "store", rank, RANKS):
        for stage in STAGES:
            config = recipe(RANKS, stage, UNLOCKED)
            straight, resumed = root / f"straight-{stage}", root / f"resumed-{stage}"
            train_on(rank, data, straight, config)
            if rank == 0:
                shutil.copytree(straight, resumed)
                for late in list_checkpoints(resumed)[UNLOCK - 1 :]:
                    shutil.rmtree(late)
            barrier()
            train_on(rank, data, resumed, config)
            train_on(rank, data, root / f"ever-{stage}", recipe(RANKS, stage, FOR_EVER, "bf16"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Runs of two ranks at each stage; `plain` is that of one process."""
    root = tmp_path_factory.mktemp("locked")
    data = sixteen_pairs(root / "data")
    run_local(prepare_run(recipe(1, 0, UNLOCKED), data, str(root / "plain")), lambda _: None)
    mp.start_processes(one_rank, (data, str(root)), nprocs=RANKS, start_method="spawn")
    return root


@pytest.mark.parametrize("stage", STAGES)
def test_a_tower_that_is_unlocked_learns_as_on_one_process_and_resumes(stage, runs):
    plain, straight, resumed = runs / "plain", runs / f"straight-{stage}", runs / f"resumed-{stage}"
    expected, found = read_metrics(plain), read_metrics(straight)
    for before, after in zip(expected, found, strict=True):
        assert after["train/loss"] == pytest.approx(before["train/loss"], rel=1e-4)
        assert after["train/gradient_norm"] == pytest.approx(before["train/gradient_norm"], rel=1e-3)
    first = weights(straight, 1)
    for name, value in weights(straight, UNLOCK).items():
        assert value.equal(first[name]) or not name.startswith(IMAGE), name
    for name, value in weights(straight, STEPS).items():
        torch.testing.assert_close(value, weights(plain, STEPS)[name], atol=2e-5, rtol=1e-3)
        torch.testing.assert_close(value, weights(resumed, STEPS)[name], atol=0, rtol=0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_tower_that_is_locked_for_ever_keeps_its_weights_to_the_last_bit_in_bf16(stage, runs):
    run = runs / f"ever-{stage}"
    torch.manual_seed(0)
    module = build_first_module(
        prepare_run(recipe(RANKS, stage, FOR_EVER, "bf16"), str(runs / "data"), str(runs / "x"))
    )
    last = weights(run, STEPS)
    for name, value in module.state_dict().items():
        if name.startswith(IMAGE):
            assert value.equal(last[name]), name
    assert not last["dual_encoder.text_projection.weight"].equal(module.dual_encoder.text_projection.weight)
