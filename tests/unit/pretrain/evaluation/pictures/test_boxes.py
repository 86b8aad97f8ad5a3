import json

import numpy as np
import pytest
from PIL import Image

from pretrain.evaluation.pictures.boxes import RIGHT, SIDE, EvenlySpaced, draw, write_drawn


@pytest.mark.parametrize("total", [0, 1, 3, 4, 7, 8, 9, 100, 1001])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_items_are_evenly_spaced_over_any_stream(total, count):
    keeper = EvenlySpaced(count)
    for number in range(total):
        if keeper.wanted():
            keeper.keep(number)
        assert len(keeper.items) <= 2 * count
    chosen = keeper.chosen()
    assert len(chosen) == min(count, total)
    if chosen:
        assert chosen[0] == 0
        gaps = np.diff([*chosen, total])
        assert gaps.max() <= 2 * total / count + 1
        assert len(set(gaps[:-1].tolist())) <= 2


def test_a_box_is_drawn_where_it_is(tmp_path):
    picture = draw(Image.new("RGB", (40, 20), "black"), [((10, 5, 20, 10), RIGHT, "")])
    assert picture.size == (SIDE, SIDE // 2)
    color = tuple(int(RIGHT[place : place + 2], 16) for place in (1, 3, 5))
    rows, columns = np.nonzero((np.asarray(picture) == color).all(-1))
    scale = SIDE / 40
    found = [columns.min(), rows.min(), columns.max(), rows.max()]
    np.testing.assert_allclose(found, [10 * scale, 5 * scale, 30 * scale, 15 * scale], atol=2)
    write_drawn(str(tmp_path), "detection", [({"image": 3, "key": "x"}, picture)])
    assert json.loads((tmp_path / "examples.json").read_text()) == {"detection": [{"image": 3, "key": "x"}]}
    with Image.open(tmp_path / "examples" / "3.jpg") as image:
        assert image.size == picture.size


def test_a_box_over_the_edge_stays_visible():
    picture = draw(Image.new("RGB", (10, 10), "black"), [((-5, -5, 30, 30), RIGHT, "label")])
    assert np.asarray(picture)[2, SIDE // 2].max() > 50
