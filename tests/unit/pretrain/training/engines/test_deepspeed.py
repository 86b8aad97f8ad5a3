"""DeepSpeed's settings, and an engine's close; behaviour on several ranks is tested in tests/integration."""

from contextlib import closing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from gloo_threads import gloo_threads
from small_runs import small_recipe

from pretrain.ranks import process_group
from pretrain.tasks.task import ParameterGroup
from pretrain.training.engines.deepspeed import DeepSpeedEngine, deepspeed_settings


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_stage_precision_and_batch_are_the_recipes(stage):
    config = small_recipe(
        {},
        data={"batch_size": 16, "accumulation": 2},
        engine={"zero_stage": stage, "precision": "bf16", "whole_below": 500},
        workers={"count": 2},
        optimizer={"clip_norm": 0.7},
    )
    settings = deepspeed_settings(config)
    assert settings["zero_optimization"]["stage"] == stage
    assert settings["zero_optimization"]["stage3_param_persistence_threshold"] == 500
    assert settings["bf16"] == {"enabled": True}
    assert settings["train_micro_batch_size_per_gpu"] == 4
    assert settings["gradient_clipping"] == 0.7
    assert "fp16" not in settings


@pytest.mark.parametrize(
    ("stage", "accumulation", "gpu", "overlap"),
    [(1, 1, True, True), (1, 2, True, False), (2, 2, True, True), (2, 1, False, False)],
)
def test_communication_overlaps_where_every_gradient_is_reduced(stage, accumulation, gpu, overlap):
    config = small_recipe(
        {},
        data={"batch_size": 4, "accumulation": accumulation},
        engine={"zero_stage": stage},
        workers={"gpu": gpu},
    )
    assert deepspeed_settings(config)["zero_optimization"]["overlap_comm"] is overlap


class Line(torch.nn.Linear):
    """A module with the parameter groups that an engine asks of a task."""

    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        return [ParameterGroup([self.weight], weight_decay, 1.0), ParameterGroup([self.bias], 0.0, 1.0)]


def line_engine(stage: int) -> DeepSpeedEngine:
    config = small_recipe({}, engine={"zero_stage": stage, "precision": "fp32", "whole_below": 2})
    return DeepSpeedEngine(Line(4, 4), config)


def advance(engine: DeepSpeedEngine) -> None:
    engine.backward(engine.engine(torch.ones(2, 4)).square().mean())
    engine.step(1e-2, 0.9)


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # restored after the test, whatever the group sets
    return tmp_path / "store"


def one_step(stage: int, store: Path, error: type[Exception]) -> None:
    with process_group(store, 0, 1), closing(line_engine(stage)) as engine:
        advance(engine)
        raise error


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_nothing_of_a_closed_engine_holds_the_group(stage, store):
    with process_group(store, 0, 1):
        with closing(line_engine(stage)) as engine:
            advance(engine)
        assert gloo_threads(), "the group is there until its context ends"
    assert isinstance(engine.module, Line), "the module is still held, with its hooks"
    assert not dist.is_initialized()
    assert not gloo_threads()


@pytest.mark.parametrize("stage", [0, 3])
def test_nothing_that_a_traceback_holds_keeps_the_group(stage, store):
    with pytest.raises(FloatingPointError):
        one_step(stage, store, FloatingPointError)
    assert not gloo_threads()
