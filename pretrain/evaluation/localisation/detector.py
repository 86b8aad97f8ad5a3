"""All objects of given classes in an image, with scores.

Shapes: N classes, R candidate boxes, F detections, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from pretrain.evaluation.localisation import CALIBRATIONS, EVIDENCE
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.calibration import by_evidence
from pretrain.evaluation.localisation.candidates import Candidates, Proposer
from pretrain.evaluation.localisation.judge import CONTRIBUTIONS, PLAIN, Judge
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.metrics.boxes import in_pixels, iou
from pretrain.evaluation.token_encoder import TokenEncoder


@dataclass(frozen=True)
class Detections:
    """Detections of one image, best first; boxes are (left, top, width, height) in px."""

    boxes: Float[np.ndarray, "F 4"]
    scores: Float[np.ndarray, " F"]
    classes: Int[np.ndarray, " F"]


@dataclass(frozen=True)
class Detector:
    """How boxes get classes and scores."""

    encoder: TokenEncoder
    proposer: Proposer
    classes: Float[Tensor, "N D"]
    options: ProposalOptions
    judge: Judge = PLAIN
    calibration: str = "prior"
    peaks: int = 2  # candidates per class, where the proposer makes boxes for each class
    overlap: float = 0.5  # IoU above which the worse of two boxes of one class goes
    most: int = 100  # detections per image
    prompts: Float[Tensor, "N T D"] | None = None  # of each class; None: its one embedding

    def __call__(self, image: Image.Image) -> Detections:
        """The image's detections, after non-maximum suppression within each class."""
        pixels = self.encoder.pixels([image])
        candidates = self.proposer(self.encoder, pixels, self.classes, self.options, self.peaks)
        boxes, real = candidates.boxes.flatten(0, 1), candidates.real.flatten()
        scores = self._scores(pixels, candidates)
        rows, names = self._pairs(candidates, scores)
        values = scores[rows, names]
        order = values.argsort(descending=True, stable=True)[: 10 * self.most]
        order = order[real[rows[order]]]
        placed = in_pixels(boxes[rows[order]], image.size)
        sorted_scores, classes = values[order].cpu().double().numpy(), names[order].cpu().numpy()
        kept = suppress(placed, classes, self.overlap)[: self.most]
        return Detections(placed[kept], sorted_scores[kept], classes[kept])

    def _scores(self, pixels: Tensor, candidates: Candidates) -> Float[Tensor, "R N"]:
        """Calibrated scores of every candidate with every class, times the proposer's confidence."""
        boxes = candidates.boxes.flatten(0, 1)
        scores = (
            self._evidence(pixels, boxes) if self.calibration == EVIDENCE else self._calibrated(pixels, boxes)
        )
        confidence = (candidates.confidence * candidates.real).flatten()
        return (scores * confidence[:, None]).masked_fill(~candidates.real.flatten()[:, None], 0)

    def _evidence(self, pixels: Tensor, boxes: Float[Tensor, "R 4"]) -> Float[Tensor, "R N"]:
        chunk = self.options.chunk
        added = embed_boxes(self.encoder, pixels, boxes, self.judge, chunk)
        alone = embed_boxes(self.encoder, pixels, boxes, replace(self.judge, embedding="alone"), chunk)
        prompts = self.classes[:, None] if self.prompts is None else self.prompts
        values = torch.einsum("rd,ntd->rnt", added, prompts.to(added))
        return by_evidence(alone @ self.classes.T, values, self.encoder.temperature)

    def _calibrated(self, pixels: Tensor, boxes: Float[Tensor, "R 4"]) -> Float[Tensor, "R N"]:
        embedded = embed_boxes(self.encoder, pixels, boxes, self.judge, self.options.chunk)
        empty = self.judge.embed_parts(self.encoder, pixels, self.judge.nothing(self.encoder, pixels), 1)
        if self.judge.embedding in CONTRIBUTIONS:  # a part without a cell changes nothing
            empty = torch.zeros_like(empty)
        return CALIBRATIONS[self.calibration](
            embedded @ self.classes.T, empty @ self.classes.T, self.encoder.temperature
        )

    def _pairs(self, candidates: Candidates, scores: Tensor) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"]]:
        """(candidate, class) of every pair that can be a detection."""
        count, classes = scores.shape
        if len(candidates.boxes) == 1:  # the classes share their boxes: every box may be of any class
            rows = torch.arange(count).repeat_interleave(classes)
            names = torch.arange(classes).repeat(count)
        else:  # a box belongs to the class that it was proposed for
            rows = torch.arange(count)
            names = rows // candidates.boxes.shape[1]
        return rows.to(scores.device), names.to(scores.device)


def suppress(
    boxes: Float[np.ndarray, "F 4"], classes: Int[np.ndarray, " F"], overlap: float
) -> Int[np.ndarray, " K"]:
    """Places of the boxes that stay, of boxes sorted best first: greedy non-maximum suppression within each class."""
    kept: list[int] = []
    kept_of_class: dict[int, list[int]] = {}
    for place, name in enumerate(classes.tolist()):
        better = kept_of_class.setdefault(name, [])
        if not better or iou(boxes[place : place + 1], boxes[better]).max() <= overlap:
            better.append(place)
            kept.append(place)
    return np.array(kept, dtype=int)
