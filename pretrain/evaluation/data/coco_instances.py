"""What is there and what was found, in COCO's two formats, for any other judge (pycocotools, a viewer)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pretrain.evaluation.data.scenes import Scene
from pretrain.evaluation.results import write_json

DETECTIONS, GROUND_TRUTH = "detections.json", "ground_truth.json"


class InstancesWriter:
    """Takes images one by one; `close` writes both files."""

    def __init__(self, output: str, names: list[str]) -> None:
        self.folder = Path(output)
        self.results: list[dict[str, Any]] = []
        self.truth: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        }

    def add(
        self,
        scene: Scene,
        boxes: Float[np.ndarray, "F 4"],
        scores: Float[np.ndarray, " F"],
        classes: Int[np.ndarray, " F"],
        true_classes: Int[np.ndarray, " T"],
    ) -> None:
        """One image; identities count from 1, since COCO's tools take 0 for none."""
        image = len(self.truth["images"]) + 1
        width, height = scene.image.size
        self.truth["images"].append({"id": image, "file_name": scene.key, "width": width, "height": height})
        for one, name in zip(scene.objects, true_classes.tolist(), strict=True):
            self.truth["annotations"].append(
                {
                    "id": len(self.truth["annotations"]) + 1,
                    "image_id": image,
                    "category_id": name + 1,
                    "bbox": list(one.box),
                    "area": one.box[2] * one.box[3],
                    "iscrowd": int(one.crowd),
                }
            )
        for box, score, name in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True):
            self.results.append({"image_id": image, "category_id": name + 1, "bbox": box, "score": score})

    def close(self) -> None:
        """Write the files, each whole or not at all."""
        write_json(self.folder / DETECTIONS, self.results)
        write_json(self.folder / GROUND_TRUTH, self.truth)
