"""Crops and mirroring."""

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.data.samples.batch import normalised
from pretrain.data.samples.images import Augmentation, crop


def pixels(*arguments) -> np.ndarray:
    """The crop as a batch gives it to the model."""
    return normalised(torch.from_numpy(crop(*arguments)), torch.float32).numpy()


@pytest.fixture
def halves() -> Image.Image:
    """Left half black, right half white, 64 × 32."""
    values = np.zeros((32, 64, 3), np.uint8)
    values[:, 32:] = 255
    return Image.fromarray(values)


def test_without_augmentation_the_whole_picture_is_resized(halves):
    got = pixels(halves, 8, "", Augmentation(None), np.random.default_rng(0))
    assert got.shape == (3, 8, 8)
    assert got.dtype == np.float32
    assert got[:, :, :3] == pytest.approx(-1)
    assert got[:, :, 5:] == pytest.approx(1)


def test_only_pictures_whose_caption_names_no_side_are_mirrored(halves):
    flips = Augmentation(None, flip=True)
    for caption, expected in (
        ("a black and a white half", True),
        ("white on the RIGHT", False),
        ("leftmost", False),
    ):
        generator = np.random.default_rng(0)
        seen = {pixels(halves, 8, caption, flips, generator)[0, 0, 0] > 0 for _ in range(40)}
        assert (True in seen) == expected


def test_crops_keep_to_scale_and_ratio():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    image = Image.fromarray(ramp)
    generator = np.random.default_rng(0)
    widths = []
    for _ in range(200):
        row = (pixels(image, 64, "", Augmentation((0.25, 1.0), (1.0, 1.0)), generator)[0, 32] + 1) * 127.5
        widths.append((row[-1] - row[0]) / (63 / 64) / 256)
    assert min(widths) == pytest.approx(0.5, abs=0.05)
    assert max(widths) == pytest.approx(1.0, abs=0.05)
