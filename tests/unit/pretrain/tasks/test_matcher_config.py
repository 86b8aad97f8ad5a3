"""The recipe of a matcher: what is refused, and the checkpoint that it names."""

import json

import pytest
from tiny_matcher import MODEL, matcher_recipe, tiny_blip

from data_filters.errors import InputError
from pipelines.common.explain import validate
from pretrain.tasks import config_class, read_config
from pretrain.tasks.matcher_config import MatcherConfig


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"objectives": {"itc": {"weight": 0}, "itm": {"weight": 0}}}, "objectives have no weight above 0"),
        ({"objectives": {"itm": {"weight": -1}}}, "objectives.itm.weight is -1"),
        ({"objectives": {"contrastive": {}}}, "unknown key objectives.contrastive"),
        (
            {"model": {"text": {"pretrained": "./bert"}}},
            "model.text.pretrained is './bert'; .* set model.pretrained",
        ),
        ({"model": {"image": {"pretrained": "./vit"}}}, "unknown key model.image.pretrained"),
    ],
)
def test_mistakes_are_named(values, said):
    with pytest.raises(InputError, match=said) as raised:
        validate(MatcherConfig, values, "recipe")
    assert "\n" not in str(raised.value)


def test_the_task_names_its_recipe_and_a_stored_one_is_read_as_it_was():
    config = matcher_recipe()
    assert config_class({"task": "matcher"}) is MatcherConfig
    assert read_config(config.model_dump(mode="json")) == config
    assert (config.image_size, config.max_tokens, config.resample) == (16, 12, "bicubic")


def test_the_checkpoint_is_a_published_part_that_another_folder_replaces():
    assert matcher_recipe().published_parts() == {}
    config = matcher_recipe(model=MODEL | {"pretrained": "./blip"})
    assert config.published_parts() == {"matcher": ("./blip", "model.pretrained")}
    other = config.with_published_parts({"matcher": "/stored"})
    assert other.model.pretrained == "/stored"
    assert other.model.image == config.model.image


def test_pixels_are_those_of_the_checkpoint_unless_the_recipe_or_the_run_says_others(tmp_path, caplog):
    blip = tiny_blip(tmp_path / "blip")
    (tmp_path / "blip" / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "BlipImageProcessor",
                "image_mean": [0.4, 0.5, 0.6],
                "image_std": [0.2, 0.3, 0.4],
                "size": {"height": 16, "width": 16},
                "resample": 2,
            }
        )
    )
    config = matcher_recipe(model=MODEL | {"pretrained": blip})
    found = config.with_published_inputs()
    assert found.model.image.pixel_mean == pytest.approx((0.4, 0.5, 0.6))
    assert (found.pixel_statistics.std, found.resample) == (pytest.approx((0.2, 0.3, 0.4)), "bilinear")
    own = {**MODEL["image"], "pixel_mean": [0.1, 0.1, 0.1]}
    kept = matcher_recipe(model=MODEL | {"pretrained": blip, "image": own}).with_published_inputs()
    assert kept.pixel_statistics.mean == (0.1, 0.1, 0.1)
    assert config.with_published_inputs(kept).pixel_statistics.mean == (0.1, 0.1, 0.1)
    (tmp_path / "blip" / "preprocessor_config.json").unlink()
    assert config.with_published_inputs().model == config.model
    assert "model.pretrained" in caplog.text
    assert matcher_recipe().with_published_inputs() == matcher_recipe()
