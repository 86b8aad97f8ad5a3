"""Whether maps and alignments fit the objects that phrases name, where the data say what they name.

Shapes: N phrases, T objects, M regions, C cells. Boxes are (left, top, width, height) in px of the image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from pretrain.evaluation.data.phrase_objects import CaptionedImage
from pretrain.evaluation.localisation.alignment import RegionAlignment
from pretrain.evaluation.metrics.boxes import iou
from pretrain.evaluation.metrics.recall import TIE
from pretrain.regions.soft_mask import hard_mask


class AlignmentScores:
    """Scores over samples. Equal greatest cells or phrases share one hit, so that a constant map scores as chance."""

    def __init__(self) -> None:
        self._rows: dict[str, list[float]] = defaultdict(list)

    def add(self, sample: CaptionedImage, aligned: RegionAlignment, grid: tuple[int, int]) -> None:
        """Add one sample; phrases that name no object are not scored."""
        objects = [phrase.objects for phrase in aligned.phrases]
        for name, values in (("word_patch", aligned.phrase_maps), ("attribution", aligned.attributions)):
            self._add_map(name, values, objects, sample.boxes, grid, sample.image.size)
        self._add_regions(aligned.alignment.numpy(), aligned.boxes_in(sample), objects, sample.boxes)

    def _add_map(
        self,
        name: str,
        values: Float[np.ndarray, "N C"],
        objects: Sequence[tuple[int, ...]],
        boxes: Float[np.ndarray, "T 4"],
        grid: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        named = [number for number, numbers in enumerate(objects) if numbers]
        if not named:
            return
        inside = np.stack([cells_inside(boxes[list(objects[number])], grid, size) for number in named])
        hits = inside @ _share_of_greatest(values[named]).T  # [phrase, whose map]
        self._rows[f"pointing_{name}"] += np.diag(hits).tolist()
        self._rows[f"pointing_{name}_chance"] += inside.mean(1).tolist()
        self._rows[f"pointing_{name}_text_blind"] += hits.mean(1).tolist()

    def _add_regions(
        self,
        alignment: Float[np.ndarray, "M N"],
        regions: Float[np.ndarray, "M 4"],
        objects: Sequence[tuple[int, ...]],
        boxes: Float[np.ndarray, "T 4"],
    ) -> None:
        overlaps = iou(regions, boxes)
        if not overlaps.size:
            return
        share = _share_of_greatest(alignment)
        for number, chosen, overlap in zip(overlaps.argmax(1), share, overlaps.max(1), strict=True):
            names = np.array([number in numbers for numbers in objects])
            if overlap < 0.5 or not names.any() or names.all():  # no object, or no choice
                continue
            self._rows["phrase_of_region"].append(float(chosen @ names))
            self._rows["phrase_of_region_chance"].append(float(names.mean()))

    def summary(self) -> dict[str, float | int]:
        """Means by name, and how many phrases and regions they are of; empty where nothing could be measured."""
        means: dict[str, float | int] = {name: float(np.mean(row)) for name, row in self._rows.items()}
        if means:
            named = len(self._rows["pointing_attribution"])
            means |= {"named_phrases": named, "matched_regions": len(self._rows["phrase_of_region"])}
        return means


def cells_inside(
    boxes: Float[np.ndarray, "T 4"], grid: tuple[int, int], size: tuple[int, int]
) -> Bool[np.ndarray, " C"]:
    """The cells of any of the boxes: those whose centre a box contains, and the one that contains the box's centre.

    So every object has a cell, however small it is.
    """
    fractions = torch.from_numpy(np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], 1))
    return hard_mask(fractions / torch.tensor(size).repeat(2), grid).any(0).numpy()


def _share_of_greatest(values: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
    """1 at each row's greatest entry; equal greatest entries share it equally."""
    best = values >= values.max(1, keepdims=True) - TIE
    return best / best.sum(1, keepdims=True)
