"""The loop logs, saves and resumes at the steps of the recipe, and reads samples in the order of the data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import sixteen_pairs, small_run

from pretrain.training.checkpoint import list_checkpoints, read_state
from pretrain.training.engines.plain import PlainEngine
from pretrain.training.loop import _Timer, train
from pretrain.training.metrics import read_metrics
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.setup import build_first_module, build_reader


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return sixteen_pairs(tmp_path_factory.mktemp("data") / "curated")


def run(prepared: PreparedRun) -> tuple[PlainEngine, list[dict[str, float]]]:
    """Return the engine after the run, and the metrics that it reported."""
    Path(prepared.folder).mkdir(exist_ok=True)
    engine = PlainEngine(build_first_module(prepared), prepared.config, torch.device("cpu"))
    reported: list[dict[str, float]] = []
    train(engine, build_reader(prepared, 0, 1), prepared, reported.append)
    return engine, reported


def saved_steps(folder: Path) -> list[int]:
    return [read_state(checkpoint).step for checkpoint in list_checkpoints(folder)]


def test_reports_and_checkpoints_come_at_their_steps(data, tmp_path):
    schedule = {"steps": 7, "log_every": 3, "checkpoint_every": 2, "keep_checkpoints": 2, "keep_steps": [1]}
    prepared = small_run(data, tmp_path / "run", schedule)
    _, reported = run(prepared)
    assert [line["step"] for line in reported] == [3, 6, 7]
    assert [line["epoch"] for line in reported] == [0.75, 1.5, 1.75]  # 16 pairs are 4 steps
    assert saved_steps(tmp_path / "run") == [1, 6, 7]
    assert read_metrics(tmp_path / "run") == reported
    assert read_state(list_checkpoints(tmp_path / "run")[-1]).config_hash == prepared.config_hash


def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(data, tmp_path):
    schedule = {"steps": 8, "log_every": 1, "checkpoint_every": 3, "log_keys": True}
    whole, half = (small_run(data, tmp_path / name, schedule) for name in ("whole", "half"))
    engine, straight = run(whole)
    with pytest.raises(RuntimeError, match="pulled"):
        stop_after(half, 5)
    resumed, rest = run(half)
    assert [line["step"] for line in rest] == [4, 5, 6, 7, 8], "from the checkpoint of step 3 on"
    losses = {line["step"]: line["train/loss"] for line in straight}
    assert {line["step"]: line["train/loss"] for line in rest} == {step: losses[step] for step in range(4, 9)}
    for name, value in engine.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def stop_after(prepared: PreparedRun, step: int) -> None:
    """Run until the report of `step` raises, to stop the run at that point."""
    Path(prepared.folder).mkdir(exist_ok=True)
    engine = PlainEngine(build_first_module(prepared), prepared.config, torch.device("cpu"))

    def report(metrics: dict[str, float]) -> None:
        if metrics["step"] == step:
            raise RuntimeError("the plug was pulled")

    train(engine, build_reader(prepared, 0, 1), prepared, report)


def test_the_keys_of_each_step_are_those_of_the_order(data, tmp_path):
    prepared = small_run(data, tmp_path / "run", {"steps": 6, "log_keys": True})
    run(prepared)
    lines = (tmp_path / "run" / "keys" / "rank-0-of-1.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["step"] for entry in entries] == list(range(6))
    first_epoch = [key for entry in entries[:4] for key in entry["keys"]]
    assert sorted(first_epoch) == [f"{number:04d}" for number in range(16)], "each pair once"


def test_parameters_are_held_at_their_limits(data, tmp_path):
    model = small_run(data, tmp_path / "a", {}).config.model.model_dump() | {"max_logit_scale": 14.3}
    optimizer = {"learning_rate": 0.5, "warmup_fraction": 0.3}
    engine, _ = run(small_run(data, tmp_path / "run", {"steps": 4}, model=model, optimizer=optimizer))
    limit = engine.parameter_limits()["dual_encoder.logit_scale"]
    assert limit == pytest.approx(torch.tensor(14.3).log().item())
    assert engine.module.dual_encoder.logit_scale.item() <= limit + 1e-6


def test_a_longer_run_of_the_same_folder_goes_on(data, tmp_path):
    prepared = small_run(data, tmp_path / "run", {"steps": 3, "log_every": 1})
    run(prepared)
    _, more = run(replace(prepared, total_steps=5))
    assert [line["step"] for line in more] == [4, 5]


def test_the_timer_is_due_after_its_minutes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pretrain.training.loop.time.monotonic", lambda: now[0])
    timer, never = _Timer(2.0), _Timer(None)
    assert not timer.is_due()
    now[0] += 119.9
    assert not timer.is_due()
    now[0] += 0.2
    assert timer.is_due()
    timer.restart()
    assert not timer.is_due()
    assert not never.is_due()
