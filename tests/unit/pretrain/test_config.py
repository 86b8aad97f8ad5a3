"""Sections of a pretraining recipe: what they work out, and what they refuse across fields."""

import pytest

from data_filters.errors import InputError
from pipelines.common.explain import validate
from pretrain.config import ScheduleConfig
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def test_checkpoints_are_due_at_multiples_and_at_the_steps_named():
    schedule = ScheduleConfig(checkpoint_every=4, keep_steps=(3,))
    assert [step for step in range(1, 10) if schedule.saves(step)] == [3, 4, 8]


def test_a_batch_is_shared_by_workers_and_micro_batches():
    config = DualEncoderConfig.model_validate(
        {"data": {"batch_size": 48, "accumulation": 3}, "workers": {"count": 4}}
    )
    assert config.per_worker_batch == 4
    assert config.with_workers(2).per_worker_batch == 8
    assert config.with_workers(2).model_dump() == config.model_dump() | {
        "workers": config.workers.model_dump() | {"count": 2}
    }
    with pytest.raises(ValueError, match="must be a multiple of workers.count × data.accumulation = 15"):
        config.with_workers(5)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"model": {"image": {"image_size": 100}}}, "image_size is 100; allowed are multiples of 32"),
        ({"model": {"image": {"depths": [2, 2]}}}, "heads has 4 stages, depths has 2"),
        ({"model": {"image": {"kind": "vit"}}}, "a vit has one stage"),
        (
            {"model": {"image": {"heads": [5, 6, 12, 24]}}},
            "heads is 5 in stage 0; it must divide the width 96",
        ),
        ({"model": {"text": {"heads": 7}}}, "heads is 7; it must divide width 512"),
        ({"data": {"crop_scale": [0.9, 0.5]}}, "give two shares 0 < low <= high <= 1"),
        ({"data": {"batch_size": 9, "accumulation": 2}}, "accumulation is 2; it must divide batch_size 9"),
        ({"workers": {"count": 2, "minimum": 3}}, "workers.minimum is 3; allowed are 1 to workers.count = 2"),
        ({"workers": {"count": 3}}, "data.batch_size is 512; it must be a multiple of workers.count"),
        ({"engine": {"zero_stage": 3, "compile": True}}, "engine.compile is true with engine.zero_stage 3"),
        ({"engine": {"zero_stage": 4}}, "engine.zero_stage is 4"),
        ({"schedule": {"epochs": None}}, "neither steps nor epochs"),
        ({"start": {"step": 5}}, "start.step is 5 without start.weights"),
        ({"data": {"batch_sise": 5}}, "unknown key data.batch_sise; did you mean data.batch_size"),
    ],
)
def test_mistakes_are_one_line(recipe, message):
    with pytest.raises(InputError, match=message) as refused:
        validate(DualEncoderConfig, recipe, "recipe")
    assert "\n" not in str(refused.value)
