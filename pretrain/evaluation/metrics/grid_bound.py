"""Bounds of a box metric: the best box of whole cells, and what random boxes score."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Float

from pretrain.evaluation.metrics.boxes import iou

CHANCE_DRAWS = 4096


def best_cell_box(
    truth: Float[np.ndarray, "T 4"], grid: tuple[int, int], size: tuple[int, int]
) -> Float[np.ndarray, " T"]:
    """Highest IoU with each true box that a rectangle of whole cells of the grid (rows, columns) can have.

    `size` is the image's (width, height) in the units of the boxes. The optimum uses, for each edge, one of the two
    adjacent grid lines: moving an edge further out only adds area, and moving it further in loses at least as large a
    share of the intersection as of the union.
    """
    truth = np.asarray(truth, float).reshape(-1, 4)
    rows, columns = grid
    cell = np.array([size[0] / columns, size[1] / rows])
    cells = np.array([columns, rows])
    low, high = truth[:, :2] / cell, (truth[:, :2] + truth[:, 2:]) / cell
    best = np.zeros(len(truth))
    for moves in product((0, 1), repeat=4):
        start = np.clip(np.floor(low) + moves[:2], 0, cells)
        stop = np.clip(np.floor(high) + moves[2:], 0, cells)
        boxes = np.concatenate([start, stop - start], 1) * np.tile(cell, 2)
        possible = (stop > start).all(1)
        overlaps = np.array([iou(b[None], t[None])[0, 0] for b, t in zip(boxes, truth, strict=True)])
        best = np.where(possible, np.maximum(best, overlaps), best)
    return best


def random_boxes(count: int, generator: np.random.Generator) -> Float[np.ndarray, "count 4"]:
    """(left, top, width, height) as fractions of the image, two corners drawn evenly."""
    corners = np.sort(generator.random((count, 2, 2)), axis=1)
    return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], 1)


class Chance:
    """The share of random boxes that are right: the accuracy of grounding without a model."""

    def __init__(self, seed: int = 0) -> None:
        self.boxes = random_boxes(CHANCE_DRAWS, np.random.default_rng(seed))

    def __call__(
        self, truth: Float[np.ndarray, "T 4"], size: tuple[int, int], threshold: float = 0.5
    ) -> Float[np.ndarray, " T"]:
        """Probability of an IoU of at least `threshold`, for each true box; `size` as in `best_cell_box`."""
        return (iou(self.boxes * np.tile(size, 2), truth) >= threshold).mean(0)
