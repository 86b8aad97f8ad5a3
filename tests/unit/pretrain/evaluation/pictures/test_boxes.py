import numpy as np
from PIL import Image

from pretrain.evaluation.pictures.boxes import RIGHT, SIDE, draw


def test_a_box_is_drawn_where_it_is():
    picture = draw(Image.new("RGB", (40, 20), "black"), [((10, 5, 20, 10), RIGHT, "")])
    assert picture.size == (SIDE, SIDE // 2)
    color = tuple(int(RIGHT[place : place + 2], 16) for place in (1, 3, 5))
    rows, columns = np.nonzero((np.asarray(picture) == color).all(-1))
    scale = SIDE / 40
    found = [columns.min(), rows.min(), columns.max(), rows.max()]
    np.testing.assert_allclose(found, [10 * scale, 5 * scale, 30 * scale, 15 * scale], atol=2)


def test_a_box_over_the_edge_stays_visible():
    picture = draw(Image.new("RGB", (10, 10), "black"), [((-5, -5, 30, 30), RIGHT, "label")])
    assert np.asarray(picture)[2, SIDE // 2].max() > 50
