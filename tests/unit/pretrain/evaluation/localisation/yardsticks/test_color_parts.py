import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.localisation.yardsticks.color_parts import part_boxes, propose_parts
from pretrain.evaluation.token_encoder import TokenEncoder

GRAY, RED = (0.5, 0.5, 0.5), (0.9, 0.1, 0.1)


def picture(*rectangles):
    """A gray image of 20 × 30 px with rectangles (left, top, right, bottom, color)."""
    image = np.full((20, 30, 3), GRAY)
    for left, top, right, bottom, color in rectangles:
        image[top:bottom, left:right] = color
    return image


def test_parts_have_tight_boxes_the_largest_first():
    image = picture((2, 3, 6, 8, RED), (10, 1, 20, 9, (0.1, 0.1, 0.9)), (25, 15, 28, 19, (0, 0, 0)))
    assert part_boxes(image, 0.15, 0, 0.005, 16).tolist() == [[10, 1, 20, 9], [2, 3, 6, 8], [25, 15, 28, 19]]
    assert part_boxes(image, 0.15, 0, 0.005, 2).tolist() == [[10, 1, 20, 9], [2, 3, 6, 8]]


def test_parts_that_touch_at_a_corner_are_one_and_need_not_be_of_one_color():
    corner = picture((2, 3, 6, 8, RED), (6, 8, 9, 12, (0.1, 0.9, 0.1)))
    assert part_boxes(corner, 0.15, 0, 0, 16).tolist() == [[2, 3, 9, 12]]
    apart = picture((2, 3, 6, 8, RED), (7, 8, 10, 12, RED))
    assert part_boxes(apart, 0.15, 0, 0, 16).tolist() == [[2, 3, 6, 8], [7, 8, 10, 12]]


def test_small_parts_are_dropped():
    image = picture((2, 3, 6, 8, RED), (10, 10, 13, 12, RED))  # 20 and 6 of 600 px
    assert part_boxes(image, 0.15, 0, 6 / 600, 16).tolist() == [[2, 3, 6, 8], [10, 10, 13, 12]]
    assert part_boxes(image, 0.15, 0, 7 / 600, 16).tolist() == [[2, 3, 6, 8]]


def test_contrast_is_the_distance_in_color():
    image = picture((2, 3, 6, 8, (0.6, 0.7, 0.5)))  # √(0.01 + 0.04) = 0.2236 away
    assert part_boxes(image, 0.22, 0, 0, 16).tolist() == [[2, 3, 6, 8]]
    assert part_boxes(image, 0.23, 0, 0, 16).shape == (0, 4)


def test_parts_with_a_small_gap_between_them_are_one():
    image = picture((2, 3, 6, 8, RED), (7, 9, 10, 12, RED), (12, 9, 14, 12, RED))  # gaps of 1 × 1 and 2 px
    assert part_boxes(image, 0.15, 1, 0, 16).tolist() == [[2, 3, 10, 12], [12, 9, 14, 12]]
    assert part_boxes(image, 0.15, 2, 0, 16).tolist() == [[2, 3, 14, 12]]
    assert part_boxes(image, 0.15, 1, 10 / 600, 16).tolist() == [[2, 3, 10, 12]]  # the gap has no area


@pytest.mark.parametrize("gap", [0, 1, 2, 3])
def test_parts_are_those_of_a_flood_fill(gap):
    generator = np.random.default_rng(gap)
    reach = range(-gap - 1, gap + 2)
    for _ in range(20):
        differs = generator.random((19, 23)) < (0.3, 0.1, 0.05, 0.03)[gap]
        image = np.where(differs[..., None], RED, GRAY)
        rest = {tuple(place) for place in np.argwhere(differs).tolist()}
        expected = []
        while rest:
            part, edge = set(), {rest.pop()}
            while edge:
                part |= edge
                near = {(y + dy, x + dx) for y, x in edge for dy in reach for dx in reach}
                edge, rest = near & rest, rest - near
            rows, columns = zip(*part, strict=True)
            expected.append([min(columns), min(rows), max(columns) + 1, max(rows) + 1])
        assert sorted(part_boxes(image, 0.15, gap, 0, 99).tolist()) == sorted(expected)


@pytest.mark.parametrize("name", ["object", "nothing"])
def test_boxes_of_a_picture_are_the_same_for_every_text(export, name):
    encoder = TokenEncoder(export)
    image = np.full((16, 16, 3), 200, np.uint8)
    if name == "object":
        image[4:8, 2:10] = (20, 40, 60)
    pixels = encoder.pixels([Image.fromarray(image)])
    found = propose_parts(encoder, pixels, torch.randn(3, 16), proposal_options({}), 1)
    expected = [6 / 16, 6 / 16, 8 / 16, 4 / 16] if name == "object" else [0.5, 0.5, 1, 1]
    torch.testing.assert_close(found.boxes, torch.tensor([[expected]]))
    assert found.real.tolist() == [[True]]
    assert found.confidence.tolist() == [[1]]
