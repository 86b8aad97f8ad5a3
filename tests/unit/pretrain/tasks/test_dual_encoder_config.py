"""The recipe of a dual encoder: objectives are typed sections, and defaults written out change nothing."""

import pytest

from data_filters.errors import InputError
from pipelines.common.config import config_hash
from pipelines.common.explain import override, validate
from pretrain.objectives import OBJECTIVES
from pretrain.tasks import config_class, read_config
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"contrastiv": {}}, "unknown key objectives.contrastiv; did you mean objectives.contrastive"),
        ({"contrastive": {"wieght": 1}}, "objectives.contrastive.wieght; did you mean .*weight"),
        ({"contrastive": {"weight": -1}}, "objectives.contrastive.weight is -1"),
        ({"contrastive": {"weight": 0}}, "no weight above 0"),
        ({}, "no weight above 0"),
    ],
)
def test_mistakes_are_named(objectives, message):
    with pytest.raises(InputError, match=message):
        validate(DualEncoderConfig, {"objectives": objectives}, "recipe")


def test_an_option_of_an_objective_is_set_and_its_misspelling_answered():
    values = {"objectives": {"late_interaction": {}}}
    override(DualEncoderConfig, values, "objectives.late_interaction.token_share=0.25")
    config = validate(DualEncoderConfig, values, "recipe")
    assert config.objectives.late_interaction.token_share == 0.25
    with pytest.raises(InputError, match="did you mean objectives.late_interaction.token_share"):
        override(DualEncoderConfig, values, "objectives.late_interaction.token_shre=0.25")


def test_defaults_written_out_are_the_same_recipe_with_the_same_hash():
    short = DualEncoderConfig.model_validate({"objectives": {"unsil": {}, "contrastive": {}}})
    long = DualEncoderConfig.model_validate(
        {"objectives": {"contrastive": {"weight": 1.0}, "unsil": {"weight": 1.0, "beta": 1.0}}}
    )
    assert short == long
    assert config_hash(short) == config_hash(long)
    assert config_hash(short) != config_hash(DualEncoderConfig())


def test_what_bounds_memory_or_audits_the_order_is_not_in_the_hash():
    objectives = {"sigmoid": {}, "late_interaction": {}, "unsil": {}}
    plain = config_hash(DualEncoderConfig.model_validate({"objectives": objectives}))
    for assignment in (
        "supervision.chunk=3",
        "objectives.sigmoid.chunk=3",
        "objectives.late_interaction.chunk_elements=64",
        "schedule.log_keys=true",
    ):
        values = {"objectives": {name: {} for name in objectives}}
        override(DualEncoderConfig, values, assignment)
        changed = DualEncoderConfig.model_validate(values)
        assert changed != DualEncoderConfig.model_validate({"objectives": objectives})
        assert config_hash(changed) == plain
    values = {"objectives": {name: {} for name in objectives}}
    override(DualEncoderConfig, values, "objectives.late_interaction.wire=fp16")
    assert config_hash(DualEncoderConfig.model_validate(values)) != plain


def test_the_record_holds_every_option_and_reads_back():
    config = DualEncoderConfig.model_validate({"objectives": {"box_value": {"regions": 2}}})
    record = config.model_dump(mode="json")
    assert record["objectives"] == {
        "box_value": {"weight": 1.0, "regions": 2, "size_exponent": 0.5, "others": "random"}
    }
    assert read_config(record) == config


def test_a_null_objective_is_left_out():
    config = DualEncoderConfig.model_validate({"objectives": {"contrastive": {}, "unsil": None}})
    assert list(config.objectives.chosen()) == ["contrastive"]


def test_objectives_are_added_up_in_one_order_whatever_the_recipe_says():
    names = list(OBJECTIVES)
    config = DualEncoderConfig.model_validate(
        {"objectives": {name: {} for name in reversed(names)}, "supervision": {"budget": 1}}
    )
    assert list(config.objectives.chosen()) == names


def test_machine_settings_have_no_part_in_the_hash():
    plain = DualEncoderConfig()
    other = DualEncoderConfig.model_validate(
        {
            "workers": {"count": 4},
            "data": {"prefetch": 9, "accumulation": 2, "cache_gib": 1.0},
            "schedule": {"log_every": 3, "keep_steps": [5]},
            "engine": {"compile": True},
        }
    )
    assert config_hash(plain) == config_hash(other)
    assert config_hash(plain) != config_hash(DualEncoderConfig(seed=1))


def test_only_objectives_that_need_them_bring_suppliers_and_regions():
    assert DualEncoderConfig().suppliers == ()
    assert not DualEncoderConfig().uses_regions
    config = DualEncoderConfig.model_validate(
        {"objectives": {"box_value": {}, "token_semantics": {}, "contrastive": {}}}
    )
    assert config.suppliers == ("shapley", "box_ascent")
    assert config.uses_regions


def test_an_unknown_task_is_answered_with_the_known():
    assert config_class({}) is DualEncoderConfig
    with pytest.raises(InputError, match="task is 'dual_encodr'.*did you mean 'dual_encoder'"):
        config_class({"task": "dual_encodr"})
