import numpy as np
import pytest
from PIL import Image

from pretrain.evaluation.pictures.heat import HEAT, draw_heat, heat_colors, upsample


def test_colours_rise_in_lightness_from_end_to_end():
    colors = heat_colors(np.linspace(0, 1, 101))
    assert tuple(colors[0]) == HEAT[0]
    assert tuple(colors[-1]) == HEAT[-1]
    lightness = colors @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert np.diff(lightness).max() < 6  # no step that would look like an edge


def test_upsampling_is_bilinear_between_cell_centres():
    values = np.random.default_rng(0).normal(size=(3, 5))
    found = upsample(values, (40, 30))
    for y, x in [(0, 0), (29, 39), (4, 4), (15, 20), (7, 33)]:
        row = min(max((y + 0.5) / 10 - 0.5, 0), 2)
        column = min(max((x + 0.5) / 8 - 0.5, 0), 4)
        top, left = min(int(row), 1), min(int(column), 3)
        down, right = row - top, column - left
        corners = values[top : top + 2, left : left + 2]
        expected = (1 - down) * ((1 - right) * corners[0, 0] + right * corners[0, 1])
        expected += down * ((1 - right) * corners[1, 0] + right * corners[1, 1])
        assert found[y, x] == pytest.approx(expected, abs=1e-5)


def test_heat_lies_where_the_map_is_high_and_maps_share_a_scale():
    image = Image.new("RGB", (60, 40), (200, 200, 200))
    values = np.zeros((4, 4))
    values[1, 2] = 1.0
    hot = np.asarray(draw_heat(image, values, (0, 1), 120), float)
    assert hot.shape == (80, 120, 3)
    red_over_blue = hot[..., 0] - hot[..., 2]
    y, x = np.unravel_index(red_over_blue.argmax(), red_over_blue.shape)
    assert (20 <= y < 40, 60 <= x < 90) == (True, True)
    half = np.asarray(draw_heat(image, values / 2, (0, 1), 120), float)
    assert (half[30, 75] < hot[30, 75]).any()
    assert np.abs(half[70, 5] - hot[70, 5]).max() == 0
    assert np.isfinite(np.asarray(draw_heat(image, values * 0, (0, 0), 50))).all()
