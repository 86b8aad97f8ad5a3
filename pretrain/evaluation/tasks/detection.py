"""Detection: all objects of the data's classes, found by the names of the classes alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.coco_instances import InstancesWriter
from pretrain.evaluation.data.gallery import Progress
from pretrain.evaluation.data.scenes import Scene, SceneStream
from pretrain.evaluation.localisation.proposals import (
    ProposalOptions,
    Proposer,
    choose_proposer,
    embed_boxes,
    proposal_options,
)
from pretrain.evaluation.metrics.boxes import DetectionScorer, in_pixels, iou
from pretrain.evaluation.metrics.grid_bound import best_cell_box, random_boxes
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG, Drawn, EvenlySpaced, draw, write_drawn
from pretrain.evaluation.prompts import choose_templates, class_embeddings
from pretrain.evaluation.results import claim_output, write_metrics
from pretrain.evaluation.token_encoder import TokenEncoder

SHOWN = 5  # detections drawn on an example


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first; boxes are (left, top, width, height) in px."""

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
    embedding: str = "alone"
    calibration: str = "prior"
    peaks: int = 2  # candidates of each class, where the way proposes for each class
    overlap: float = 0.5  # IoU above which the worse of two boxes of one class goes
    most: int = 100  # detections of an image

    def __call__(self, image: Image.Image) -> Detections:
        """The image's detections, after non-maximum suppression within each class."""
        pixels = self.encoder.pixels([image])
        found = self.proposer(self.encoder, pixels, self.classes, self.options, self.peaks)
        flat = found.boxes.flatten(0, 1)
        embedded = embed_boxes(self.encoder, pixels, flat, self.embedding, self.options.chunk)
        nothing = self.encoder.masked(
            pixels, pixels.new_zeros(1, self.encoder.grid[0] * self.encoder.grid[1])
        )
        if self.embedding == "dropped":  # nothing dropped, nothing lost
            nothing = torch.zeros_like(nothing)
        scores = CALIBRATIONS[self.calibration](
            embedded @ self.classes.T, nothing @ self.classes.T, self.encoder.temperature
        )
        sure = (found.confidence * found.real).flatten()
        scores = (scores * sure[:, None]).masked_fill(~found.real.flatten()[:, None], 0)
        if len(found.boxes) == 1:  # every box may be of any class
            rows, names = (
                grid.flatten() for grid in torch.meshgrid(*map(torch.arange, scores.shape), indexing="ij")
            )
        else:  # a box belongs to the class it was proposed for
            rows = torch.arange(len(flat))
            names = rows // found.boxes.shape[1]
        rows, names = rows.to(scores.device), names.to(scores.device)
        values = scores[rows, names]
        order = values.argsort(descending=True, stable=True)[: 10 * self.most]
        order = order[found.real.flatten()[rows[order]]]
        boxes = in_pixels(flat[rows[order]], image.size)
        values, classes = values[order].cpu().double().numpy(), names[order].cpu().numpy()
        kept = suppress(boxes, classes, self.overlap)[: self.most]
        return Detections(boxes[kept], values[kept], classes[kept])


def _cosine(similar: Tensor, nothing: Tensor, temperature: float) -> Tensor:
    """The cosine, moved from [-1, 1] to [0, 1]."""
    return (similar + 1) / 2


def _softmax(similar: Tensor, nothing: Tensor, temperature: float) -> Tensor:
    """The class's probability among all classes, at the temperature that the model was trained with."""
    return (similar / temperature).softmax(-1)


def _prior(similar: Tensor, nothing: Tensor, temperature: float) -> Tensor:
    """As softmax, of what the box adds to each class's similarity with the empty image: a name's own bias goes."""
    return ((similar - nothing) / temperature).softmax(-1)


CALIBRATIONS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cosine": _cosine,
    "softmax": _softmax,
    "prior": _prior,
}
"""(cosines [R, N], cosines of the image with nothing in it [1, N], temperature) → scores [R, N] in 0..1."""


def suppress(
    boxes: Float[np.ndarray, "F 4"], classes: Int[np.ndarray, " F"], overlap: float
) -> Int[np.ndarray, " K"]:
    """Places of the boxes that stay, best first as they came: greedy non-maximum suppression within each class."""
    kept: list[int] = []
    by_class: dict[int, list[int]] = {}
    for place, name in enumerate(classes.tolist()):
        own = by_class.setdefault(name, [])
        if not own or iou(boxes[place : place + 1], boxes[own]).max() <= overlap:
            own.append(place)
            kept.append(place)
    return np.array(kept, dtype=int)


def evaluate_detection(
    export: str,
    data: str,
    output: str | None = None,
    *,
    gallery: int | None = None,
    batch_size: int = 256,
    device: str = "cpu",
    examples: int = 8,
    progress: Progress | None = None,
    proposals: str | None = None,
    embedding: str = "alone",
    calibration: str = "prior",
    templates: str | Sequence[str] = "article",
    images: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Mean average precision over the classes at IoU 0.3, at 0.5 and over 0.5 to 0.95 (COCO), zero-shot.

    The classes are all object names of the data, put into `templates` (`prompts.TEMPLATES`). `proposals`, `embedding`,
    `images` and `options` as in `grounding.evaluate_grounding`; `calibration` (`CALIBRATIONS`) makes scores of
    cosines, so that they can be compared between images.

    Yardsticks: `grid_bound` is the share of objects that the best box of whole cells meets at IoU 0.5, which bounds
    recall; `chance` the mAP@0.5 of random boxes with random classes and scores.

    With `output`, beside metrics and drawn examples: `detections.json` (COCO's results format) and
    `ground_truth.json` (COCO's instances format), for any other judge.

    Raises InputError on a bad path or option, when no image has boxes, or for an output with other results.
    """
    began = time.perf_counter()
    if calibration not in CALIBRATIONS:
        raise InputError(f"calibration is {calibration!r}; allowed are {', '.join(CALIBRATIONS)}")
    settings = proposal_options({"chunk": batch_size, **options})
    encoder = TokenEncoder(export, device)
    name, proposer = choose_proposer(proposals, encoder)
    identity = {
        "task": "detection",
        "export": export,
        "data": data,
        "gallery": gallery,
        "proposals": name,
        "embedding": embedding,
        "calibration": calibration,
        "templates": list(choose_templates(templates)),
        "options": [f"{key}={value}" for key, value in vars(settings).items() if key != "chunk"],
    }
    if output is not None:
        claim_output(output, identity)
    stream = SceneStream(data, images=images)
    names = stream.names()
    number = {one: place for place, one in enumerate(names)}
    detect = Detector(
        encoder,
        proposer,
        class_embeddings(encoder, names, templates).to(encoder.device),
        settings,
        embedding,
        calibration,
    )
    scorer, luck = DetectionScorer(), DetectionScorer()
    generator = np.random.default_rng(0)
    shown: EvenlySpaced[tuple[dict[str, Any], Image.Image]] = EvenlySpaced(examples if output else 0)
    written = None if output is None else InstancesWriter(output, names)
    bounds: list[np.ndarray] = []
    place = -1
    for place, scene in enumerate(islice(stream, gallery)):
        found = detect(scene.image)
        truth = np.array([one.box for one in scene.objects]).reshape(-1, 4)
        true_classes = np.array([number[one.name] for one in scene.objects], dtype=int)
        crowd = np.array([one.crowd for one in scene.objects], dtype=bool)
        scorer.add(found.boxes, found.scores, found.classes, truth, true_classes, crowd)
        drawn = random_boxes(len(found.boxes), generator) * np.tile(scene.image.size, 2)
        guesses = generator.integers(0, len(names), len(drawn))
        luck.add(drawn, generator.random(len(drawn)), guesses, truth, true_classes, crowd)
        bounds.append(best_cell_box(truth[~crowd], encoder.grid, scene.image.size))
        if written is not None:
            written.add(scene, found.boxes, found.scores, found.classes, true_classes)
        if shown.wanted():
            shown.keep(_example(place, scene, found, names))
        if progress is not None:
            progress(place + 1, gallery)
    bound = np.concatenate([*bounds, np.zeros(0)])
    if not len(bound):
        raise InputError(
            f"data {data!r} has no object in {place + 1} images (passed over: {dict(stream.skipped) or 'none'}); "
            "give shards whose JSON has `objects` or `boxes`, or a COCO-format .json"
        )
    metrics = {
        **identity,
        **scorer.summary(),
        "grid_bound": float((bound >= 0.5).mean()),
        "chance": luck.summary()["mAP@0.5"],
        "per_class": {
            names[place]: {"AP@0.3": values[0], "AP@0.5": values[1], "AP@[.5:.95]": float(values[1:].mean())}
            for place, values in ((at, np.round(found, 6)) for at, found in scorer.per_class().items())
        },
        "images": place + 1,
        "objects": len(bound),
        "classes": len(names),
        "grid": list(encoder.grid),
        "skipped": dict(stream.skipped),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        written.close()
        write_drawn(output, "detection", shown.chosen())
        write_metrics(output, metrics)
    return metrics


def _example(
    place: int, scene: Scene, found: Detections, names: Sequence[str]
) -> tuple[dict[str, Any], Image.Image]:
    """The best detections of an image as an entry and drawn: right ones (class and IoU 0.5) in another colour."""
    truth = np.array([one.box for one in scene.objects]).reshape(-1, 4)
    lines: list[Drawn] = [(one.box, TRUTH, "") for one in scene.objects]
    entries, drawn = [], []
    for box, score, name in list(zip(found.boxes, found.scores, found.classes, strict=True))[:SHOWN]:
        same = np.array([one.name == names[name] for one in scene.objects], dtype=bool)
        right = bool((iou(box[None], truth[same]) >= 0.5).any())
        # The same box under several names is drawn once, under its best name.
        if all(iou(box[None], np.array(other)[None])[0, 0] < 0.9 for other in drawn):
            lines.append((box, RIGHT if right else WRONG, f"{names[name]} {score:.2f}"))
            drawn.append(box)
        entries.append(
            {
                "name": names[name],
                "score": round(float(score), 4),
                "box": box.round(1).tolist(),
                "right": right,
            }
        )
    objects = [{"name": one.name, "box": [round(value, 1) for value in one.box]} for one in scene.objects]
    entry = {"image": place, "key": scene.key, "objects": objects, "found": entries}
    return entry, draw(scene.image, lines)
