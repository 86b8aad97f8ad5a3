import numpy as np
import pytest
from PIL import Image

from pretrain.evaluation.pictures.numbered_boxes import DISTINCT, draw_boxes, draw_cells


def near(pixel, color, tolerance=12):
    return np.abs(np.asarray(pixel, float) - color).max() <= tolerance


def test_boxes_and_tags_have_the_colour_of_their_number():
    image = Image.new("RGB", (100, 80), "white")
    boxes = np.array([[10.0, 20, 30, 40], [60, 30, 30, 40], [-20, -20, 300, 300]])
    picture = np.asarray(draw_boxes(image, boxes, ["1", "2", "3"], 200))
    assert picture.shape == (160, 200, 3)
    assert near(picture[80, 21], DISTINCT[0])  # left edge of the first
    assert near(picture[80, 121], DISTINCT[1])
    assert near(picture[100, 2], DISTINCT[2])  # cut at the image's edge, and seen
    assert near(picture[40 - 15, 33], DISTINCT[0])  # the tag above its box
    assert near(picture[100, 90], (255, 255, 255))


@pytest.mark.parametrize("count", [1, 6, 14])
def test_any_boxes_can_be_drawn(count):
    generator = np.random.default_rng(count)
    boxes = np.concatenate([generator.uniform(-20, 100, (count, 2)), generator.uniform(0, 30, (count, 2))], 1)
    image = Image.new("RGB", (90, 30))
    labels = [f"{number} +0.00" for number in range(count)]
    assert draw_boxes(image, boxes, labels, 120).size == (120, 40)


def test_numbered_cells_are_tinted_and_others_are_gray():
    image = Image.new("RGB", (60, 60), (90, 160, 40))
    numbers = np.array([[0, -1], [-1, 1]])
    picture = np.asarray(draw_cells(image, numbers, 120), float)
    assert np.ptp(picture[10, 110]) == np.ptp(picture[110, 10]) == 0
    for pixel, number in ((picture[5, 5], 0), (picture[115, 115], 1)):
        assert pixel.argmax() == np.argmax(DISTINCT[number])
        assert np.ptp(pixel) > 30
