"""A short run in one plain process leaves what it should behind, and stops where it should."""

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
    """Function: schedule and other sections → a prepared run of 12 steps on 16 pairs."""
    data = sixteen_pairs(tmp_path / "curated")

    def make(schedule: dict, **sections: dict) -> PreparedRun:
        return small_run(data, tmp_path / "run", schedule, **sections)

    return make


def run_of(run: PreparedRun) -> Path:
    return Path(run.folder)


def test_tensorboard_says_what_the_log_says_and_a_trace_is_there(prepare):
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


def test_minutes_bring_checkpoints_between_the_steps_that_do(prepare):
    run = prepare(
        {"log_every": 12, "checkpoint_every": 100, "checkpoint_minutes": 1e-6, "keep_checkpoints": 100}
    )
    launch_local.run_local(run, lambda _: None)
    # A step's wish is heard in the next one.
    assert [read_state(folder).step for folder in list_checkpoints(run_of(run))][:2] == [2, 4]


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_of_it_is_kept(prepare, monkeypatch):
    run = prepare({"checkpoint_every": 2, "keep_checkpoints": 100})
    losses, calls = DualEncoderTask.losses, []

    def broken(self, features, batch, step):
        calls.append(batch)
        found = losses(self, features, batch, step)
        return {name: value * float("nan") for name, value in found.items()} if len(calls) == 6 else found

    monkeypatch.setattr(DualEncoderTask, "losses", broken)
    with pytest.raises(FloatingPointError, match="contrastive_loss.* not finite at step 6"):
        launch_local.run_local(run, lambda _: None)
    assert [read_state(folder).step for folder in list_checkpoints(run_of(run))] == [2, 4]
    assert [line["step"] for line in read_metrics(run_of(run))] == [3]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_accumulation_learns_what_the_whole_batch_teaches(precision, prepare, tmp_path):
    """Loss and weights after some steps, dropout off; the plain engine's own two passes."""
    seen = {}
    for accumulation in (1, 2, 4):
        run = prepare(
            {"steps": 3, "log_every": 1},
            model=STILL,
            data={"batch_size": 4, "accumulation": accumulation},
            engine={"precision": precision},
        )
        engine = launch_local.PlainEngine(build_module(run.config), run.config)
        found = []
        (tmp_path / f"run{accumulation}").mkdir()
        launch_local.train(
            engine,
            build_reader(run, 0, 1),
            replace(run, folder=str(tmp_path / f"run{accumulation}")),
            lambda metrics, found=found: found.append(metrics["train/loss"]),
        )
        seen[accumulation] = found, torch.cat([p.detach().flatten() for p in engine.module.parameters()])
    tolerance = 1e-5 if precision == "fp32" else 2e-2
    for accumulation in (2, 4):
        assert seen[accumulation][0] == pytest.approx(seen[1][0], rel=tolerance)
        if precision == "fp32":  # AdamW's first steps are signs: a gradient of nothing may go either way
            assert (seen[accumulation][1] - seen[1][1]).abs().mean() < 1e-6


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
