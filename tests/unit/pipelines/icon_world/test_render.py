"""Backgrounds and resampling: what holds of the pixels, by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.icon_world.render import encode_jpeg, paint_background, resize
from pipelines.icon_world.scene import Background
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS


def test_a_plain_background_is_one_color():
    pixels = paint_background(Background("plain", ("mint", "rose"), 0.0, 0), 16)
    assert pixels.shape == (16, 16, 3)
    assert (pixels == BACKGROUND_COLORS["mint"]).all()


@pytest.mark.parametrize("angle", [0.0, np.pi])
def test_a_gradient_goes_from_one_color_to_the_other(angle):
    pixels = paint_background(Background("gradient", ("white", "stone"), angle, 0), 32)
    ends = [pixels[0, 0], pixels[0, -1]] if angle == 0 else [pixels[0, -1], pixels[0, 0]]
    assert np.abs(ends[0].astype(int) - BACKGROUND_COLORS["white"]).max() <= 1
    assert np.abs(ends[1].astype(int) - BACKGROUND_COLORS["stone"]).max() <= 1
    assert (pixels == pixels[:1]).all()  # the slope is horizontal


def test_noise_follows_its_seed_and_stays_near_its_color():
    first, again, other = (
        paint_background(Background("noise", ("sky", "sand"), 0.0, seed), 48) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
    assert np.abs(first.astype(int) - BACKGROUND_COLORS["sky"]).max() <= 25


def test_jpeg_and_size_are_those_that_pillow_reads():
    pixels = paint_background(Background("gradient", ("white", "stone"), 0.0, 0), 40)
    small = resize(pixels, 20, 10)
    with Image.open(io.BytesIO(encode_jpeg(small))) as image:
        assert (image.format, image.size) == ("JPEG", (20, 10))
        assert np.abs(np.asarray(image).astype(int) - small).max() <= 6
