import pytest
from PIL import Image

from pretrain.evaluation.pictures.drawing import resized


@pytest.mark.parametrize(
    ("size", "expected"), [((40, 20), (80, 40)), ((3, 200), (1, 80)), ((400, 1), (80, 1))]
)
def test_the_longer_side_gets_its_length(size, expected):
    picture = resized(Image.new("L", size, 200), 80)
    assert picture.size == expected
    assert picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == (200, 200, 200)
