import sys

import numpy as np
import pytest
import torch
from PIL import Image
from random_export import random_export

from data_filters.errors import InputError
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.localisation.yardsticks.superpixels import propose_superpixels, superpixels
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.boxes import overlap


def picture():
    """Of 64 × 64 px: a red square, and a globe of blue land and green sea."""
    image = np.full((64, 64, 3), 230, np.uint8)
    image[6:22, 8:28] = (200, 30, 30)
    image[34:58, 30:42] = (30, 30, 200)
    image[34:58, 42:54] = (30, 160, 60)
    return image


@pytest.fixture
def encoder(tmp_path):
    return TokenEncoder(random_export(tmp_path, image_size=64))


def propose(encoder, image, **options):
    pixels = encoder.pixels([Image.fromarray(image)])
    return propose_superpixels(encoder, pixels, torch.randn(3, 16), proposal_options(options), 1)


def test_objects_of_one_color_and_of_several_are_among_the_boxes(encoder):
    found = propose(encoder, picture())
    assert found.boxes.shape[0] == 1
    assert found.real.all()
    assert found.boxes[0, 0].tolist() == [0.5, 0.5, 1, 1]  # the last union is everything
    square, globe = [18, 14, 20, 16], [42, 46, 24, 24]
    nearest = overlap(torch.tensor([square, globe]) / 64, found.boxes[0]).amax(1)
    assert (nearest > 0.75).all()  # edges are out by a pixel, for the blur


def test_equal_boxes_are_one_and_not_more_than_are_asked_for(encoder):
    found = propose(encoder, picture(), regions=100)
    assert len(found.boxes[0].unique(dim=0)) == found.boxes.shape[1]
    few = propose(encoder, picture(), regions=3)
    torch.testing.assert_close(few.boxes, found.boxes[:, :3])


def test_an_image_of_one_color_is_one_box(encoder):
    found = propose(encoder, np.full((64, 64, 3), 128, np.uint8))
    assert found.boxes.tolist() == [[[0.5, 0.5, 1, 1]]]


def test_superpixels_are_numbered_and_have_their_least_area():
    image = np.random.default_rng(0).random((40, 30, 3))
    for least in (0.01, 0.1):
        sizes = np.unique(superpixels(image, 10, least), return_counts=True)
        assert sizes[0].tolist() == list(range(len(sizes[0])))
        assert sizes[1].min() >= least * 1200
    assert superpixels(image, 10, 0).max() > superpixels(image, 1000, 0).max()


def test_a_missing_package_is_one_clear_line(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(
        InputError, match=r'scikit-image is not installed; pip install "loupe\[yardsticks\]"'
    ) as said:
        propose(encoder, picture())
    assert "\n" not in str(said.value)
