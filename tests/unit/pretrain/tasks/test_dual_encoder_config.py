"""The recipe of a dual encoder: objectives are typed sections, and defaults written out change nothing."""

import pytest

from data_filters.errors import InputError
from pipelines.common.config import config_hash, output_settings
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


NOT_LEARNED = {
    "name",
    "data.accumulation",
    "data.cache_folder",
    "data.cache_gib",
    "data.decode_threads",
    "data.max_bad_fraction",
    "data.prefetch",
    "engine.activation_checkpointing",
    "engine.compile",
    "engine.whole_below",
    "engine.zero_stage",
    "objectives.late_interaction.chunk_elements",
    "objectives.sigmoid.chunk",
    "schedule.checkpoint_every",
    "schedule.checkpoint_minutes",
    "schedule.keep_checkpoints",
    "schedule.keep_steps",
    "schedule.log_every",
    "schedule.log_keys",
    "schedule.profile",
    "supervision.chunk",
    "workers.count",
    "workers.cpus_per_worker",
    "workers.gpu",
    "workers.max_failures",
    "workers.minimum",
}
"""Every key that has no part in a run's identity; a new key belongs to it unless it is added here."""


def keys_of(values: dict, above: str = "") -> set[str]:
    """Dotted names of the leaves of nested settings."""
    return {
        key
        for name, value in values.items()
        for key in (keys_of(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}"})
    }


def test_these_keys_and_no_others_are_left_out_of_a_runs_identity():
    config = DualEncoderConfig.model_validate({"objectives": {name: {} for name in OBJECTIVES}})
    everything = keys_of(config.model_dump(mode="json"))
    assert everything - keys_of(output_settings(config)) == NOT_LEARNED
    assert {
        "engine.precision",
        "schedule.steps",
        "objectives.late_interaction.wire",
    } <= everything - NOT_LEARNED


def test_the_record_holds_every_option_and_reads_back():
    config = DualEncoderConfig.model_validate({"objectives": {"box_value": {"regions": 2}}})
    record = config.model_dump(mode="json")
    assert record["objectives"] == {
        "box_value": {
            "weight": 1.0,
            "regions": 2,
            "size_exponent": 0.5,
            "others": "random",
            "boxes": "confident",
            "fill": "median",
            "text": "embedding",
            "longest": 12,
        }
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
