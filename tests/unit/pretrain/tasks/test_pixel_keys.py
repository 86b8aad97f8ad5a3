"""Pixels that a recipe leaves to published weights: its own keys stand, then the run's, then the image processor's."""

import json

import pytest

from pretrain.model_config import ImageTowerConfig
from pretrain.tasks.pixel_keys import with_pixels_of

PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.3, 0.4],
    "resample": 2,
    "size": {"height": 16, "width": 16},
}


@pytest.fixture
def weights(tmp_path) -> str:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(tmp_path)


def test_only_keys_that_are_left_out_are_filled(weights):
    found = with_pixels_of(ImageTowerConfig(resample="nearest"), weights, "model.key", None)
    assert found.pixel_mean == pytest.approx((0.4, 0.5, 0.6))
    assert found.pixel_std == pytest.approx((0.2, 0.3, 0.4))
    assert found.resample == "nearest"


def test_a_run_that_goes_on_keeps_its_pixels(weights):
    recorded = ImageTowerConfig(pixel_mean=(0.1, 0.1, 0.1), pixel_std=(0.2, 0.2, 0.2), resample="box")
    found = with_pixels_of(ImageTowerConfig(), weights, "model.key", recorded)
    assert (found.pixel_mean, found.resample) == ((0.1, 0.1, 0.1), "box")


def test_without_an_image_processor_the_defaults_stay_and_the_key_is_named(tmp_path, caplog):
    assert with_pixels_of(ImageTowerConfig(), str(tmp_path), "model.key", None) == ImageTowerConfig()
    assert f"model.key {tmp_path} has no image processor" in caplog.text
