"""Known objects and detections in COCO's two formats, for any other judge (pycocotools, a viewer)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from pydantic import JsonValue

from pipelines.common.files import write_json
from pretrain.evaluation.data.scene import Scene

DETECTIONS, GROUND_TRUTH = "detections.json", "ground_truth.json"


class InstancesWriter:
    """Takes images one by one; `write` writes both files."""

    def __init__(self, names: list[str]) -> None:
        self.results: list[dict[str, JsonValue]] = []
        self.truth: dict[str, list[dict[str, JsonValue]]] = {
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
        """Add one image. Identities count from 1, since COCO's tools take 0 for none."""
        image = len(self.truth["images"]) + 1
        width, height = scene.image.size
        self.truth["images"].append({"id": image, "file_name": scene.key, "width": width, "height": height})
        for true_object, name in zip(scene.objects, true_classes.tolist(), strict=True):
            self.truth["annotations"].append(
                {
                    "id": len(self.truth["annotations"]) + 1,
                    "image_id": image,
                    "category_id": name + 1,
                    "bbox": list(true_object.box),
                    "area": true_object.box[2] * true_object.box[3],
                    "iscrowd": int(true_object.crowd),
                }
            )
        for box, score, name in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True):
            self.results.append({"image_id": image, "category_id": name + 1, "bbox": box, "score": score})

    def write(self, output: str) -> None:
        """Write the files into a folder, each whole or not at all."""
        write_json(Path(output) / DETECTIONS, self.results, indent=2)
        write_json(Path(output) / GROUND_TRUTH, self.truth, indent=2)
