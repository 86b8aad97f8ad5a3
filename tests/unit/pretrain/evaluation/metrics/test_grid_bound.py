from itertools import combinations, product

import numpy as np
import pytest

from pretrain.evaluation.metrics.boxes import iou
from pretrain.evaluation.metrics.grid_bound import Chance, best_cell_box, random_boxes


def every_cell_box(grid, size):
    rows, columns = grid
    return np.array(
        [
            [
                left * size[0] / columns,
                top * size[1] / rows,
                (right - left) * size[0] / columns,
                (bottom - top) * size[1] / rows,
            ]
            for (left, right), (top, bottom) in product(
                combinations(range(columns + 1), 2), combinations(range(rows + 1), 2)
            )
        ]
    )


@pytest.mark.parametrize(("grid", "size"), [((7, 7), (112, 112)), ((3, 5), (90, 61)), ((1, 1), (10, 10))])
def test_bound_is_the_best_of_all_boxes_of_whole_cells(grid, size):
    generator = np.random.default_rng(1)
    truth = random_boxes(300, generator) * np.tile(size, 2)
    truth[:50, 2:] *= 0.05  # far smaller than a cell
    truth[50:100, 3] *= 0.02  # flat
    truth[100:104] = np.round(truth[100:104] / size[0] * grid[1]) * size[0] / grid[1]  # on the lines
    truth[104] = [0, 0, *size]
    expected = iou(truth, every_cell_box(grid, size)).max(1)
    np.testing.assert_allclose(best_cell_box(truth, grid, size), expected, atol=1e-12)


def test_nothing_to_bound():
    assert best_cell_box(np.zeros((0, 4)), (7, 7), (10, 10)).shape == (0,)


def test_chance_of_the_whole_image_is_its_integral():
    # Sides are distances of two even draws, P(side > s) = (1 - s)^2, and the IoU with the whole image is the area.
    width = np.linspace(0.5, 1, 200_001)
    area_above_half = np.trapezoid(2 * (1 - width) * (1 - 0.5 / width) ** 2, width)
    found = Chance(seed=3)(np.array([[0, 0, 30.0, 20.0]]), (30, 20))
    error = (area_above_half / 4096) ** 0.5
    assert abs(found[0] - area_above_half) < 4 * error
    assert area_above_half > 4 * error
