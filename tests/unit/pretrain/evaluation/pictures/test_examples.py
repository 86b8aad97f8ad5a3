import json

import numpy as np
import pytest
from PIL import Image

from pretrain.evaluation.pictures.examples import EvenlySpaced, evenly_spaced, read_examples, write_drawn


@pytest.mark.parametrize("total", [0, 1, 3, 4, 7, 8, 9, 100, 1001])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_items_are_evenly_spaced_over_any_stream(total, count):
    keeper = EvenlySpaced(count)
    for number in range(total):
        if keeper.take_next():
            keeper.keep(number)
        assert len(keeper.items) <= 2 * count
    chosen = keeper.chosen()
    assert len(chosen) == min(count, total)
    if chosen:
        assert chosen[0] == 0
        gaps = np.diff([*chosen, total])
        assert gaps.max() <= 2 * total / count + 1
        assert len(set(gaps[:-1].tolist())) <= 2


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(10, 3, [0, 3, 6]), (2, 5, [0, 1]), (0, 4, []), (7, 0, []), (8, 4, [0, 2, 4, 6])],
)
def test_places_are_evenly_spaced(total, count, expected):
    assert evenly_spaced(total, count) == expected


def test_examples_are_read_as_they_were_written(tmp_path):
    picture = Image.new("RGB", (32, 16))
    write_drawn(str(tmp_path), "detection", [({"image": 3, "key": "x"}, picture)])
    assert json.loads((tmp_path / "examples.json").read_text()) == {"detection": [{"image": 3, "key": "x"}]}
    assert read_examples(str(tmp_path)) == {"detection": [{"image": 3, "key": "x"}]}
    with Image.open(tmp_path / "examples" / "3.jpg") as image:
        assert image.size == picture.size
    assert read_examples(str(tmp_path / "none")) is None
