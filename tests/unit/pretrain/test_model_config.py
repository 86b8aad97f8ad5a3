"""The towers' shapes: what they work out, and which pixels they refuse."""

import math

import pytest
from pydantic import ValidationError

from pretrain.model_config import ImageTowerConfig, ModelConfig


def test_the_map_follows_from_patches_and_stages():
    swin = ImageTowerConfig(image_size=224, patch_size=4, depths=(2, 2, 6, 2))
    assert (swin.cell_size, swin.grid) == (32, (7, 7))
    vit = ImageTowerConfig(kind="vit", image_size=112, patch_size=16, depths=(3,), heads=(4,), width=64)
    assert (vit.cell_size, vit.grid) == (16, (7, 7))


def test_the_temperature_is_bounded_in_the_units_of_its_parameter():
    assert ModelConfig(max_logit_scale=50.0).log_max_logit_scale == pytest.approx(math.log(50.0))


@pytest.mark.parametrize("wrong", [{"pixel_std": [0.5, 0.0, 0.5]}, {"pixel_mean": [0.5, float("nan"), 0.5]}])
def test_statistics_that_cannot_normalise_are_refused(wrong):
    with pytest.raises(ValidationError, match="allowed are three finite numbers each, deviations above 0"):
        ImageTowerConfig(**wrong)
