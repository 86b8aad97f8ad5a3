"""How bytes of an image become the numbers that an image tower takes: (byte / 255 - mean) / deviation, per channel."""

from __future__ import annotations

from typing import NamedTuple

Channels = tuple[float, float, float]
"""A number each for red, green and blue."""


class PixelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, as shares of the largest byte."""

    mean: Channels = (0.5, 0.5, 0.5)
    std: Channels = (0.5, 0.5, 0.5)


STANDARD = PixelStatistics()
"""Pixels from -1 to 1: what towers with random weights are trained on."""
