"""PDQ, a perceptual hash of 256 bits with a quality from 0 to 100, in numpy.

Source: Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019), and
its reference implementation, `pdq/cpp` of ThreatExchange. Luma is filtered twice by a box (Jarosz), sampled at 64 x 64
places and transformed (DCT); a bit says whether one of the 16 x 16 lowest frequencies, the constant one left out,
exceeds their median. The two filters and the sampling are linear, so that each side of the picture needs one weighted
sum of few rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

BYTES = 32
ORIENTATIONS = (
    "as it is",
    "a quarter turn counterclockwise",
    "half a turn",
    "a quarter turn clockwise",
    "top to bottom",
    "left to right",
    "at the diagonal",
    "at the other diagonal",
)
_GRID, _KEPT, _PASSES = 64, 16, 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Floats = npt.NDArray[np.float32]
Coefficients = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint8]


def luma(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Luma, 0 to 255, of RGB pixels [height, width, 3]."""
    return pixels.astype(np.float32) @ _LUMA


def grid(luma: npt.NDArray[np.uint8] | Floats) -> Floats:
    """Reduce luma [height, width] to the 64 x 64 values that are hashed; what has this size already is not filtered."""
    height, width = luma.shape
    if height == width == _GRID:
        return luma.astype(np.float32)
    values: Floats = _weighted_rows(luma) @ _weights(width).T
    return values


def quality(grids: Floats) -> npt.NDArray[np.int16]:
    """How much grids [..., 64, 64] have to be told by, 0 to 100: all steps, in whole percents of 255, over 90."""
    total = np.zeros(grids.shape[:-2], np.int32)
    for axis in (-2, -1):
        steps = (np.diff(grids, axis=axis) * np.float32(100) / np.float32(255)).astype(np.int16)
        total += np.abs(steps).sum(axis=(-2, -1), dtype=np.int32)
    return np.minimum(100, total // 90).astype(np.int16)


def coefficients(grids: Floats) -> Coefficients:
    """The DCT of grids [..., 64, 64] at the frequencies 1 to 16 of each side: [..., 16, 16], in units of 2^-32.

    Of a grid of whole numbers it is exact, since every sum is a whole number below 2^53: another processor, library or
    number of threads gives the same hash.
    """
    transform = _cosines()
    values: Coefficients = transform @ grids.astype(np.float64) @ transform.T
    return values


def bits(coefficients: Coefficients) -> Hashes:
    """The hash of coefficients [..., 16, 16]: [..., 32] bytes, in the order of PDQ's hexadecimal text."""
    values = coefficients.reshape(*coefficients.shape[:-2], _KEPT * _KEPT)
    middle = _KEPT * _KEPT // 2 - 1  # of an even number the lower median
    median = np.partition(values, middle, axis=-1)[..., middle, None]
    return np.packbits((values > median)[..., ::-1], axis=-1)


def orientations(coefficients: Coefficients) -> Coefficients:
    """The coefficients [..., 16, 16] of pictures as the eight ORIENTATIONS of each: [..., 8, 16, 16].

    A mirrored picture changes the sign of its odd frequencies along that side; the reference derives them so, too.
    """
    sign = np.where(np.arange(_KEPT) % 2 == 0, -1.0, 1.0)  # frequency 1 comes first
    across, down = coefficients * sign, coefficients * sign[:, None]
    half = across * sign[:, None]
    turned = [np.swapaxes(each, -1, -2) for each in (coefficients, across, down, half)]
    return np.stack([coefficients, turned[1], half, turned[2], down, across, turned[0], turned[3]], axis=-3)


def _weighted_rows(values: npt.NDArray[np.uint8] | Floats) -> Floats:
    """Weighted sums of the rows [n, m], [64, m]."""
    taps, weights = _taps(len(values))
    if taps.shape[1] * _GRID > 2 * len(values):
        return _weights(len(values)) @ values.astype(np.float32)
    rows = values[taps.ravel()].reshape(*taps.shape, -1).astype(np.float32)
    return (weights[:, None, :] @ rows)[:, 0]


@lru_cache(maxsize=64)
def _weights(size: int) -> Floats:
    """The filter and the sampling of one side of `size` pixels, as a matrix [64, size]."""
    window = (size + 2 * _GRID - 1) // (2 * _GRID)
    before, after = window - (window + 2) // 2, (window + 2) // 2 - 1
    places = (np.arange(_GRID) + 0.5) * size / _GRID
    matrix = np.zeros((_GRID, size))
    matrix[np.arange(_GRID), places.astype(np.int64)] = 1
    at = np.arange(size)
    first, last = np.maximum(at - before, 0), np.minimum(at + after, size - 1) + 1
    for _ in range(_PASSES):  # matrix @ box, where row i of the box is 1/n from first[i] to last[i]
        scaled = matrix / (last - first)
        changes = np.zeros((_GRID, size + 1))
        rows = np.arange(_GRID)[:, None]
        np.add.at(changes, (rows, first[None]), scaled)
        np.add.at(changes, (rows, last[None]), -scaled)
        matrix = np.cumsum(changes, axis=1)[:, :size]
    matrix[np.abs(matrix) < 1e-12] = 0
    return matrix.astype(np.float32)


@lru_cache(maxsize=64)
def _taps(size: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The rows that each row of the grid is made of, [64, k], and their weights."""
    matrix = _weights(size)
    width = int((matrix != 0).sum(axis=1).max())
    first = np.minimum((matrix != 0).argmax(axis=1), size - width)
    taps = first[:, None] + np.arange(width)
    return taps, np.take_along_axis(matrix, taps, axis=1)


@lru_cache(maxsize=1)
def _cosines() -> Coefficients:
    """Rows 1 to 16 of the DCT of 64 values, without its scale, in whole units of 2^-16."""
    frequency, place = np.arange(1, _KEPT + 1)[:, None], np.arange(_GRID)
    wave = np.cos(np.pi / (2 * _GRID) * frequency * (2 * place + 1))
    return np.rint(wave * 65536)
