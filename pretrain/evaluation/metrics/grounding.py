"""Accuracy of the boxes found for referring expressions, and the yardsticks beside it.

Shapes: N expressions and T objects of one image. Boxes are (left, top, width, height) in px.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pretrain.evaluation.metrics.boxes import iou


class GroundingScores:
    """Values per expression, image after image."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Float[np.ndarray, " N"]]] = defaultdict(list)
        self._kinds: list[str | None] = []
        self.images = 0

    def __len__(self) -> int:
        """The number of expressions."""
        return len(self._kinds)

    def add(
        self,
        boxes: Float[np.ndarray, "N 4"],
        truth: Float[np.ndarray, "N 4"],
        kinds: Sequence[str | None],
        bound: Float[np.ndarray, " N"],
        luck: Float[np.ndarray, " N"],
        objects: Float[np.ndarray, "T 4"],
    ) -> None:
        """Add one image.

        `boxes` were found for its expressions, `truth` are the right ones, `kinds` the kinds of expression. `bound` is
        the best IoU that whole cells allow, `luck` the probability that a random box is right, `objects` all boxes of
        the image's objects.
        """
        overlap = np.array([iou(a[None], b[None])[0, 0] for a, b in zip(boxes, truth, strict=True)])
        centre = boxes[:, :2] + boxes[:, 2:] / 2
        inside = ((centre >= truth[:, :2]) & (centre <= truth[:, :2] + truth[:, 2:])).all(1)
        rows = {
            "iou": overlap,
            "inside": inside,
            "bound": bound,
            "luck": luck,
            "object": (iou(truth, objects) >= 0.5).mean(1),
            "blind": (iou(truth, boxes) >= 0.5).mean(1),
        }
        for name, values in rows.items():
            self._rows[name].append(values)
        self._kinds += kinds
        self.images += 1

    def summary(self) -> dict[str, float | int | dict[str, float]]:
        """Fractions from 0 to 1 over all expressions (one at least), and the numbers of expressions and images."""
        row = {name: np.concatenate(values) for name, values in self._rows.items()}
        right = row["iou"] >= 0.5
        kinds = np.array([kind or "" for kind in self._kinds])
        return {
            "accuracy@0.5": float(right.mean()),
            "accuracy@0.3": float((row["iou"] >= 0.3).mean()),
            "centre_inside": float(row["inside"].mean()),
            "mean_iou": float(row["iou"].mean()),
            "per_kind": {
                kind: float(right[kinds == kind].mean()) for kind in sorted({*kinds.tolist()} - {""})
            },
            "grid_bound": float((row["bound"] >= 0.5).mean()),
            "chance": float(row["luck"].mean()),
            "chance_object": float(row["object"].mean()),
            "text_blind": float(row["blind"].mean()),
            "count": len(right),
            "images": self.images,
        }
