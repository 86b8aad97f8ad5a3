"""A short run in one process: its log, trace and checkpoints, and how a loss that is not finite stops it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import STILL, sixteen_pairs, small_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.training import launch_local
from pretrain.training.checkpoint import list_checkpoints, read_state
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import PreparedRun, build_module, build_reader, prepare_run


@pytest.fixture
def prepare(tmp_path):
    """Return a function: schedule and other sections → a prepared run of 12 steps on 16 pairs."""
    data = sixteen_pairs(tmp_path / "curated")

    def make(schedule: dict, **sections: dict) -> PreparedRun:
        return small_run(data, tmp_path / "run", schedule, **sections)

    return make


def run_of(run: PreparedRun) -> Path:
    return Path(run.folder)


def test_tensorboard_equals_the_log_and_the_trace_is_written(prepare):
    run = prepare({"profile": True})
    reported = []
    launch_local.run_local(run, reported.append)
    assert read_metrics(run_of(run)) == reported
    assert [line["step"] for line in reported] == [3, 6, 9, 12]
    board = EventAccumulator(str(run_of(run) / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("train/loss")] == [3, 6, 9, 12]
    shown = [event.value for event in board.Scalars("train/gradient_norm")]
    assert shown == pytest.approx([line["train/gradient_norm"] for line in reported])
    trace = json.loads((run_of(run) / "profile" / "rank-0.json").read_text())
    steps = {event["name"] for event in trace["traceEvents"] if event["name"].startswith("ProfilerStep#")}
    assert steps == {f"ProfilerStep#{number}" for number in range(4, 10)}  # counted from 0: steps 5 to 10


def test_checkpoint_minutes_adds_checkpoints_before_checkpoint_every(prepare):
    run = prepare(
        {"log_every": 12, "checkpoint_every": 100, "checkpoint_minutes": 1e-6, "keep_checkpoints": 100}
    )
    launch_local.run_local(run, lambda _: None)
    # The wish of a step is read during the next step.
    assert [read_state(folder).step for folder in list_checkpoints(run_of(run))][:2] == [2, 4]


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_of_it_is_written(prepare, monkeypatch):
    run = prepare({"checkpoint_every": 2, "keep_checkpoints": 100})
    losses, calls = DualEncoderTask.losses, []

    def broken(self, features, batch, step):
        calls.append(batch)
        values = losses(self, features, batch, step)
        return {name: value * float("nan") for name, value in values.items()} if len(calls) == 6 else values

    monkeypatch.setattr(DualEncoderTask, "losses", broken)
    with pytest.raises(FloatingPointError, match="contrastive_loss.* not finite at step 6"):
        launch_local.run_local(run, lambda _: None)
    assert [read_state(folder).step for folder in list_checkpoints(run_of(run))] == [2, 4]
    assert [line["step"] for line in read_metrics(run_of(run))] == [3]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_accumulation_gives_the_losses_and_weights_of_the_whole_batch(precision, prepare, tmp_path):
    """Compares losses and weights after some steps of the plain engine, without dropout."""
    results = {}
    for accumulation in (1, 2, 4):
        run = prepare(
            {"steps": 3, "log_every": 1},
            model=STILL,
            data={"batch_size": 4, "accumulation": accumulation},
            engine={"precision": precision},
        )
        engine = launch_local.PlainEngine(build_module(run.config), run.config)
        losses = []
        (tmp_path / f"run{accumulation}").mkdir()
        launch_local.train(
            engine,
            build_reader(run, 0, 1),
            replace(run, folder=str(tmp_path / f"run{accumulation}")),
            lambda metrics, losses=losses: losses.append(metrics["train/loss"]),
        )
        results[accumulation] = losses, torch.cat([p.detach().flatten() for p in engine.module.parameters()])
    tolerance = 1e-5 if precision == "fp32" else 2e-2
    for accumulation in (2, 4):
        assert results[accumulation][0] == pytest.approx(results[1][0], rel=tolerance)
        if precision == "fp32":  # AdamW's first steps depend on signs: a gradient near 0 may have either sign
            assert (results[accumulation][1] - results[1][1]).abs().mean() < 1e-6


def test_relative_paths_hold_for_workers_in_another_folder(prepare, monkeypatch, tmp_path):
    run = prepare({})
    (folder,) = run.data
    monkeypatch.chdir(Path(folder).parent)
    again = prepare_run(
        run.config, [f"{Path(folder).name}=2", f"./{Path(folder).name}=1"], str(tmp_path / "other")
    )
    assert again.data == (f"{folder}=2", f"{folder}=1")
    assert prepare_run(run.config, Path(folder).name, "run-here").folder == str(
        Path(folder).parent / "run-here"
    )
