"""The settings that DeepSpeed gets; its behaviour on several ranks is tested in tests/integration."""

import pytest
from small_runs import small_recipe

from pretrain.training.engines.deepspeed import deepspeed_settings


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
