"""Checkpoints are complete or absent, only the newest are kept, and the log is cut back to the checkpoint."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from data_filters.errors import InputError
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.tasks.task import ParameterGroup
from pretrain.training.checkpoint import (
    CheckpointWriter,
    State,
    list_checkpoints,
    load_checkpoint,
    read_state,
)
from pretrain.training.engines.plain import PlainEngine
from pretrain.training.metrics import Meter, MetricsLog, read_metrics


class Line(torch.nn.Linear):
    """A module with the parameter groups that an engine asks of a task."""

    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        return [ParameterGroup([self.weight], weight_decay, 1.0), ParameterGroup([self.bias], 0.0, 1.0)]


def engine(seed: int = 0) -> PlainEngine:
    torch.manual_seed(seed)
    config = DualEncoderConfig.model_validate({"engine": {"precision": "fp32"}})
    return PlainEngine(Line(3, 2), config, torch.device("cpu"))


def advance(plain_engine: PlainEngine, steps: int) -> None:
    for step in range(steps):
        plain_engine.backward(plain_engine.module(torch.full((1, 3), 1.0 + step)).square().sum())
        plain_engine.step(1e-2, 0.9)


def save_checkpoint(plain_engine: PlainEngine, run: Path, state: State, keep: int) -> Path:
    with CheckpointWriter(plain_engine, run, keep) as writer:
        writer.save(state)
    return run / "checkpoints" / f"step-{state.step:08d}"


def test_a_restored_engine_continues_to_the_same_weights(tmp_path):
    straight, first = engine(), engine()
    advance(straight, 3)
    advance(first, 3)
    folder = save_checkpoint(first, tmp_path, State(3, 1, "abc", bad_samples=2), keep=1)
    second = engine(seed=9)
    assert load_checkpoint(second, folder) == State(3, 1, "abc", bad_samples=2)
    advance(straight, 2)
    advance(second, 2)
    assert torch.equal(straight.module.weight, second.module.weight)


def test_only_the_newest_are_kept_and_an_unfinished_one_is_not_seen(tmp_path):
    plain_engine = engine()
    for step in (1, 2, 10):
        save_checkpoint(plain_engine, tmp_path, State(step, 1, "abc"), keep=2)
    (tmp_path / "checkpoints" / "step-00000011").mkdir()  # no state.json: it is not complete
    (tmp_path / "checkpoints" / ".step-00000012.partial").mkdir()
    assert [read_state(folder).step for folder in list_checkpoints(tmp_path)] == [2, 10]


def test_checkpoints_of_the_steps_always_are_kept(tmp_path):
    plain_engine = engine()
    with CheckpointWriter(plain_engine, tmp_path, keep=1, always=(2, 5)) as writer:
        for step in range(1, 8):
            writer.save(State(step, 1, "abc"))
    assert [read_state(folder).step for folder in list_checkpoints(tmp_path)] == [2, 5, 7]


def test_an_unfinished_save_is_replaced(tmp_path):
    stale = tmp_path / "checkpoints" / ".step-00000004.partial"
    stale.mkdir(parents=True)
    (stale / "old").write_text("from a killed run")
    folder = save_checkpoint(engine(), tmp_path, State(4, 1, "abc"), keep=1)
    assert sorted(file.name for file in folder.iterdir()) == ["model.safetensors", "plain.pt", "state.json"]


def test_metrics_after_the_checkpoint_are_dropped_and_a_cut_line_is_not_read(tmp_path):
    log = MetricsLog(tmp_path, 0)
    for step in (1, 2, 3):
        log.append({"step": step, "train/loss": step / 10})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, "train/loss": 1.0})[:9])
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    MetricsLog(tmp_path, 2)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2]


def test_the_thread_writes_the_weights_as_they_were_at_save(tmp_path):
    plain_engine = engine()
    before = plain_engine.module.weight.detach().clone()
    with CheckpointWriter(plain_engine, tmp_path, keep=2) as writer:
        writer.save(State(1, 1, "abc"))
        advance(plain_engine, 3)  # the thread may still be writing
        writer.save(State(4, 1, "abc"))
    first, second = list_checkpoints(tmp_path)
    assert torch.equal(load_file(first / "model.safetensors")["weight"], before)
    assert torch.equal(load_file(second / "model.safetensors")["weight"], plain_engine.module.weight)


def test_a_failed_write_raises_in_finish(tmp_path):
    plain_engine = engine()
    writer = CheckpointWriter(plain_engine, tmp_path, keep=1)
    plain_engine.weights = lambda: {"weight": "no tensor"}
    writer.save(State(1, 1, "abc"))
    with pytest.raises(Exception, match="str"):
        writer.finish()
    assert list_checkpoints(tmp_path) == []


def test_a_checkpoint_of_deepspeed_is_not_taken_for_a_plain_one(tmp_path):
    with pytest.raises(InputError, match="without --local"):
        engine().load(tmp_path, 2)


def test_a_mean_leaves_out_steps_that_were_skipped():
    meter = Meter()
    for norm in (1.0, float("inf"), 3.0):
        meter.record({"norm": torch.tensor(norm), "rate": 0.5}, images=4, waited=0.0)
    means = meter.read(torch.device("cpu"), bad_samples=2)
    assert (means["norm"], means["rate"]) == (2.0, 0.5)
    assert means["data/bad_samples"] == 2
    assert set(meter.read(torch.device("cpu"))) == {
        "train/images_per_second",
        "train/step_seconds",
        "train/step_cpu_seconds",
        "data/wait_percent",
    }


def test_no_checkpoints_folder_means_none(tmp_path: Path):
    assert list_checkpoints(tmp_path) == []
