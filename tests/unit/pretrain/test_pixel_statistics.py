"""The standard statistics take bytes to numbers from -1 to 1."""

from pretrain.pixel_statistics import STANDARD, PixelStatistics


def test_the_standard_is_a_half_everywhere():
    assert PixelStatistics() == STANDARD == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
