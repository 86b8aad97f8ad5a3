"""The section `model` of a matcher: shapes that cannot be are refused, and what follows from the numbers."""

import math

import pytest

from data_filters.errors import InputError
from pipelines.common.explain import validate
from pretrain.matcher_model_config import MatcherModelConfig
from pretrain.pixel_statistics import STANDARD


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"image": {"image_size": 60, "patch_size": 8}},
            "image_size is 60; allowed are multiples of patch_size 8",
        ),
        ({"image": {"width": 20, "heads": 3}}, "heads is 3; it must divide width 20"),
        ({"image": {"resample": "cubic"}}, "image.resample is 'cubic'"),
        ({"image": {"window": 4}}, "unknown key image.window"),
        ({"temperature": 0}, "temperature is 0"),
        ({"first_token": ""}, "first_token is ''"),
    ],
)
def test_mistakes_are_named(values, said):
    with pytest.raises(InputError, match=said) as raised:
        validate(MatcherModelConfig, values, "recipe")
    assert "\n" not in str(raised.value)


def test_what_follows_from_the_numbers():
    config = MatcherModelConfig(max_logit_scale=50)
    assert math.exp(config.log_max_logit_scale) == pytest.approx(50)
    assert config.image.pixel_statistics == STANDARD
