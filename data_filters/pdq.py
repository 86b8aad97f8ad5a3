"""PDQ, a perceptual hash of 256 bits with a quality from 0 to 100, in numpy.

Source: Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019), sections 4 and 5,
and its reference implementation, `pdq/cpp` of ThreatExchange. Luma is filtered twice by a box (Jarosz), sampled at
64 x 64 places and transformed (DCT); a bit says whether one of the 16 x 16 lowest frequencies, without the constant one,
exceeds their median. The two filters and the sampling are linear, so that each side of the picture needs one weighted
sum of few rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

BYTES = 32
ORIENTATIONS = 8
"""As it is; turned counterclockwise by 90, 180, 270 degrees; mirrored top to bottom, left to right; at both diagonals."""
SMALLEST_SIDE = 5
"""Pixels; a smaller picture has the hash zero at quality 0, as in the reference."""

_GRID, _KEPT, _PASSES = 64, 16, 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint8]


def grid(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Reduce RGB pixels [height, width, 3] to the 64 x 64 values of luma, 0 to 255, that are hashed."""
    height, width = pixels.shape[:2]
    rows = _weighted_rows(pixels.reshape(height, width * 3)).reshape(_GRID, width, 3) @ _LUMA
    return rows @ _dense(width).T


def quality(grid: Floats) -> int:
    """How much a grid has to be told apart by, 0 to 100: its gradients, in whole percents of 255, summed and scaled."""
    steps = (np.diff(grid, axis=0).ravel(), np.diff(grid, axis=1).ravel())
    total = sum(int(np.abs((step * 100 / 255).astype(np.int32)).sum()) for step in steps)
    return min(100, int(np.float32(total) / np.float32(90)))


def coefficients(grids: Floats) -> Floats:
    """The DCT of grids [..., 64, 64] at the frequencies 1 to 16 of each side: [..., 16, 16]."""
    transform = _cosines()
    return transform @ grids @ transform.T


def bits(coefficients: Floats) -> Hashes:
    """The hash of coefficients [..., 16, 16]: [..., 32] bytes, in the order of PDQ's hexadecimal text."""
    values = coefficients.reshape(*coefficients.shape[:-2], _KEPT * _KEPT)
    middle = _KEPT * _KEPT // 2 - 1  # of an even number the lower median
    median = np.partition(values, middle, axis=-1)[..., middle, None]
    return np.packbits((values > median)[..., ::-1], axis=-1)


def orientations(coefficients: Floats) -> Floats:
    """The coefficients [16, 16] of the eight turned and mirrored pictures, [8, 16, 16], in the order of ORIENTATIONS.

    A mirrored picture changes the sign of its odd frequencies along that side; the reference derives them so, too.
    """
    sign = np.where(np.arange(_KEPT) % 2 == 0, -1, 1).astype(np.float32)  # frequency 1 comes first
    across, down = coefficients * sign, coefficients * sign[:, None]
    turned = across * sign[:, None]
    return np.stack([coefficients, across.T, turned, down.T, down, across, coefficients.T, turned.T]).astype(
        np.float32
    )


def _weighted_rows(values: npt.NDArray[np.uint8]) -> Floats:
    """Weighted sums of the rows [n, m], [64, m]."""
    taps, weights = _taps(len(values))
    if taps.shape[1] * _GRID > 2 * len(values):
        return _dense(len(values)) @ values.astype(np.float32)
    rows = values[taps.ravel()].reshape(*taps.shape, -1).astype(np.float32)
    return (weights[:, None, :] @ rows)[:, 0]


@lru_cache(maxsize=256)
def _dense(size: int) -> Floats:
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


@lru_cache(maxsize=256)
def _taps(size: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The rows that each row of the grid is made of, [64, k], and their weights."""
    matrix = _dense(size)
    width = int((matrix != 0).sum(axis=1).max())
    first = np.minimum((matrix != 0).argmax(axis=1), size - width)
    taps = first[:, None] + np.arange(width)
    return taps, np.take_along_axis(matrix, taps, axis=1)


@lru_cache(maxsize=1)
def _cosines() -> Floats:
    """Rows 1 to 16 of the orthonormal DCT of 64 values."""
    frequency, place = np.arange(1, _KEPT + 1)[:, None], np.arange(_GRID)
    wave = np.cos(np.pi / (2 * _GRID) * frequency * (2 * place + 1))
    return (np.sqrt(2 / _GRID) * wave).astype(np.float32)
