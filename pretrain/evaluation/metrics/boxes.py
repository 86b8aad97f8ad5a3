"""Overlap of boxes and average precision as COCO defines them, image after image.

Boxes are (left, top, width, height) in any one unit. Of an image only the score of each detection is kept, and whether
it was right at each threshold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.regions.boxes import to_corners

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * number, 2) for number in range(10))
THRESHOLDS = (0.3, *COCO_THRESHOLDS)
RECALLS = np.linspace(0, 1, 101)


def iou(
    boxes: Float[np.ndarray, "F 4"],
    truth: Float[np.ndarray, "T 4"],
    crowd: Bool[np.ndarray, " T"] | None = None,
) -> Float[np.ndarray, "F T"]:
    """Intersection over union; of a crowd's box, intersection over the detected box (COCO). Empty boxes overlap 0."""
    boxes, truth = np.asarray(boxes, float).reshape(-1, 4), np.asarray(truth, float).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (truth[:, :2] + truth[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(-1)
    area, other = boxes[:, 2:].prod(-1)[:, None], truth[:, 2:].prod(-1)[None]
    whole = area + other - shared
    if crowd is not None:
        whole = np.where(np.asarray(crowd, bool)[None], np.broadcast_to(area, whole.shape), whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)


def in_pixels(boxes: Float[Tensor, "N 4"], size: tuple[int, int]) -> Float[np.ndarray, "N 4"]:
    """(left, top, width, height) in px, cut at the image's edges, from (centre, size) as fractions."""
    corners = to_corners(boxes.double()).cpu().numpy() * np.tile(size, 2)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)


def match(
    overlaps: Float[np.ndarray, "F T"], crowd: Bool[np.ndarray, " T"], threshold: float
) -> tuple[Bool[np.ndarray, " F"], Bool[np.ndarray, " F"]]:
    """(right, ignored) for detections of one class in one image, best first: COCO's greedy matching.

    Each detection takes the free object that it overlaps most, at `threshold` or above (ties: the last); each
    object is taken once. A detection that fits none but a crowd is neither right nor wrong, and a crowd takes many.
    """
    right, ignored = np.zeros(len(overlaps), bool), np.zeros(len(overlaps), bool)
    free = ~crowd
    enough = overlaps >= min(threshold, 1 - 1e-10)
    for row in range(len(overlaps)):
        open_to = enough[row] & free
        if open_to.any():
            values = np.where(open_to, overlaps[row], -1)
            best = len(values) - 1 - int(values[::-1].argmax())
            right[row], free[best] = True, False
        else:
            ignored[row] = bool((enough[row] & crowd).any())
    return right, ignored


def average_precision(
    scores: Float[np.ndarray, " F"],
    right: Bool[np.ndarray, " F"],
    ignored: Bool[np.ndarray, " F"],
    objects: int,
) -> float:
    """Mean over 101 recalls of the best precision at that recall or beyond (COCO's interpolation).

    Equal scores keep their input order.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum((right & ~ignored)[order])
    misses = np.cumsum((~right & ~ignored)[order])
    precision = hits / (hits + misses + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(hits / objects, RECALLS, side="left")
    return float(np.append(precision, 0.0)[place].mean())


@dataclass
class _ClassRecord:
    """Detections of one class, a row each and a column per threshold, and the number of its true objects."""

    scores: list[np.ndarray]
    right: list[np.ndarray]
    ignored: list[np.ndarray]
    objects: int = 0


class DetectionScorer:
    """Takes images one by one and computes the average precision of each class at each threshold.

    At most `most` detections of a class in an image count, the best ones (COCO's maxDets).
    """

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS, most: int = 100) -> None:
        self.thresholds, self.most = tuple(thresholds), most
        self._records: dict[int, _ClassRecord] = defaultdict(lambda: _ClassRecord([], [], []))

    def add(
        self,
        boxes: Float[np.ndarray, "F 4"],
        scores: Float[np.ndarray, " F"],
        classes: Int[np.ndarray, " F"],
        true_boxes: Float[np.ndarray, "T 4"],
        true_classes: Int[np.ndarray, " T"],
        crowd: Bool[np.ndarray, " T"] | None = None,
    ) -> None:
        """Add one image: its detections and its true objects."""
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        true_boxes = np.asarray(true_boxes, float).reshape(-1, 4)
        scores = np.asarray(scores, float)
        classes, true_classes = np.asarray(classes), np.asarray(true_classes)
        crowd = np.zeros(len(true_boxes), bool) if crowd is None else np.asarray(crowd, bool)
        for name in {*classes.tolist(), *true_classes.tolist()}:
            rows, true = np.flatnonzero(classes == name), np.flatnonzero(true_classes == name)
            rows = rows[np.argsort(-scores[rows], kind="stable")][: self.most]
            record = self._records[name]
            record.objects += int((~crowd[true]).sum())
            if not len(rows):
                continue
            overlaps = iou(boxes[rows], true_boxes[true], crowd[true])
            results = [match(overlaps, crowd[true], threshold) for threshold in self.thresholds]
            record.scores.append(scores[rows])
            record.right.append(np.stack([right for right, _ in results], 1))
            record.ignored.append(np.stack([ignored for _, ignored in results], 1))

    def per_class(self) -> dict[int, Float[np.ndarray, " thresholds"]]:
        """Average precision of every class that has an object (a crowd is none), at each threshold."""
        result = {}
        for name, record in sorted(self._records.items()):
            if record.objects == 0:
                continue
            if not record.scores:
                result[name] = np.zeros(len(self.thresholds))
                continue
            scores, right, ignored = map(np.concatenate, (record.scores, record.right, record.ignored))
            result[name] = np.array(
                [
                    average_precision(scores, right[:, at], ignored[:, at], record.objects)
                    for at in range(len(self.thresholds))
                ]
            )
        return result

    def summary(self) -> dict[str, float]:
        """{"mAP@0.3", "mAP@0.5", "mAP@[.5:.95]"}: means over the classes that have objects; 0 where none has."""
        table = np.array(list(self.per_class().values())).reshape(-1, len(self.thresholds))
        mean = table.mean(0) if len(table) else np.zeros(len(self.thresholds))
        at = dict(zip(self.thresholds, mean.tolist(), strict=True))
        coco = [at[threshold] for threshold in COCO_THRESHOLDS]
        return {"mAP@0.3": at[0.3], "mAP@0.5": at[0.5], "mAP@[.5:.95]": sum(coco) / len(coco)}
