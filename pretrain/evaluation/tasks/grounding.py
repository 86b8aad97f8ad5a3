"""Grounding: where in the image is what an expression refers to."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Progress
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation.proposals import (
    ProposalOptions,
    Proposer,
    choose_proposer,
    embed_boxes,
    proposal_options,
)
from pretrain.evaluation.metrics.boxes import in_pixels, iou
from pretrain.evaluation.metrics.grid_bound import Chance, best_cell_box
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG, EvenlySpaced, draw, write_drawn
from pretrain.evaluation.results import claim_output, write_metrics
from pretrain.evaluation.token_encoder import TokenEncoder


def evaluate_grounding(
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
    images: str | None = None,
    split: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Top-1 accuracy at IoU 0.5 over all referring expressions of the first `gallery` images, or of all.

    `proposals` names the way to boxes (`proposals.PROPOSERS`; without it the region head where the export has one,
    else attribution), `options` its `ProposalOptions`, `embedding` how a region is compared with the text
    (`proposals.embed_boxes`). `images` and `split` see `scenes.SceneStream`; `batch_size`: masked images in one
    forward pass.

    Beside the accuracy: at IoU 0.3, centre inside the object, mean IoU, the accuracy by kind of expression; and four
    yardsticks, each the share at IoU 0.5: `grid_bound` the best box of whole cells, `chance` a random box,
    `chance_object` the exact box of a random object of the same image, `text_blind` the answers given here, dealt out
    at random among the expressions of the same image: what the accuracy exceeds it by, it owes to the text.

    Raises InputError on a bad path or option, when there is no expression, or for an output with other results.
    """
    began = time.perf_counter()
    settings = proposal_options({"chunk": batch_size, **options})
    encoder = TokenEncoder(export, device)
    name, proposer = choose_proposer(proposals, encoder)
    identity = {
        "task": "grounding",
        "export": export,
        "data": data,
        "gallery": gallery,
        "proposals": name,
        "embedding": embedding,
        "options": [f"{key}={value}" for key, value in vars(settings).items() if key != "chunk"],
        "split": split,
    }
    if output is not None:
        claim_output(output, identity)
    stream = SceneStream(data, images=images, split=split)
    scores = _Scores()
    shown: EvenlySpaced[tuple[dict[str, Any], Image.Image]] = EvenlySpaced(examples if output else 0)
    chance = Chance()
    for place, scene in enumerate(islice(stream, gallery)):
        if not scene.expressions:
            continue
        pixels = encoder.pixels([scene.image])
        texts = encoder.texts([one.text for one in scene.expressions])
        found = ground(encoder, proposer, pixels, texts, settings, embedding)
        boxes = in_pixels(found, scene.image.size)
        everything = np.array([one.box for one in scene.objects])
        truth = everything[[one.target for one in scene.expressions]]
        kinds = [one.kind for one in scene.expressions]
        bound, luck = best_cell_box(truth, encoder.grid, scene.image.size), chance(truth, scene.image.size)
        scores.add(boxes, truth, kinds, bound, luck, everything)
        if shown.wanted():
            pick = place % len(scene.expressions)
            overlap = float(iou(boxes[pick : pick + 1], truth[pick : pick + 1])[0, 0])
            entry = {
                "image": place,
                "key": scene.key,
                "text": scene.expressions[pick].text,
                "box": boxes[pick].round(1).tolist(),
                "truth": truth[pick].round(1).tolist(),
                "iou": round(overlap, 3),
            }
            color = RIGHT if overlap >= 0.5 else WRONG
            shown.keep((entry, draw(scene.image, [(truth[pick], TRUTH, ""), (boxes[pick], color, "")])))
        if progress is not None:
            progress(place + 1, gallery)
    metrics = {
        **identity,
        **scores.summary(data, stream.skipped),
        "grid": list(encoder.grid),
        "skipped": dict(stream.skipped),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        write_drawn(output, "grounding", shown.chosen())
        write_metrics(output, metrics)
    return metrics


def ground(
    encoder: TokenEncoder,
    proposer: Proposer,
    pixels: Float[Tensor, "1 3 H W"],
    texts: Float[Tensor, "N D"],
    options: ProposalOptions,
    embedding: str = "alone",
) -> Float[Tensor, "N 4"]:
    """The best box of each text: of several candidates the one whose embedding is nearest to the text.

    What a box's absence takes ("dropped") counts times the way's own confidence in the box.
    """
    found = proposer(encoder, pixels, texts, options, 1)
    if found.boxes.shape[1] == 1:
        return found.boxes[:, 0].expand(len(texts), 4)
    boxes = found.boxes.flatten(0, 1)
    scores = texts @ embed_boxes(encoder, pixels, boxes, embedding, options.chunk).T
    if embedding == "dropped":
        scores = scores * found.confidence.flatten()
    best = scores.unflatten(1, found.real.shape).masked_fill(~found.real, -torch.inf)
    rows = torch.arange(len(texts), device=boxes.device) if len(found.boxes) > 1 else 0
    own = best[torch.arange(len(texts)), rows]
    return found.boxes[rows, own.argmax(-1)]


class _Scores:
    """Sums over expressions."""

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = defaultdict(list)
        self.kinds: list[str | None] = []
        self.images = 0

    def add(
        self,
        boxes: Float[np.ndarray, "N 4"],
        truth: Float[np.ndarray, "N 4"],
        kinds: list[str | None],
        bound: Float[np.ndarray, " N"],
        luck: Float[np.ndarray, " N"],
        everything: Float[np.ndarray, "T 4"],
    ) -> None:
        """One image: the boxes found for its expressions, the true ones, what could be reached, all objects."""
        overlap = np.array([iou(a[None], b[None])[0, 0] for a, b in zip(boxes, truth, strict=True)])
        centre = boxes[:, :2] + boxes[:, 2:] / 2
        inside = ((centre >= truth[:, :2]) & (centre <= truth[:, :2] + truth[:, 2:])).all(1)
        others = (iou(truth, everything) >= 0.5).mean(1)
        blind = (iou(truth, boxes) >= 0.5).mean(1)
        for name, values in (
            ("iou", overlap),
            ("inside", inside),
            ("bound", bound),
            ("luck", luck),
            ("object", others),
            ("blind", blind),
        ):
            self.rows[name].append(values)
        self.kinds += kinds
        self.images += 1

    def summary(self, data: str, skipped: dict[str, int]) -> dict[str, Any]:
        if not self.kinds:
            raise InputError(
                f"data {data!r} has no referring expression (passed over: {dict(skipped) or 'none'}); "
                "give shards whose JSON has `referring`, or RefCOCO's refs as JSON"
            )
        row = {name: np.concatenate(values) for name, values in self.rows.items()}
        right = row["iou"] >= 0.5
        kinds = np.array([kind or "" for kind in self.kinds])
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
