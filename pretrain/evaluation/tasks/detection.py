"""Detection: all objects of the data's classes, found by the names of the classes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.data.coco_instances import InstancesWriter
from pretrain.evaluation.data.samples import in_words
from pretrain.evaluation.data.scene import Scene
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import CALIBRATIONS, EVIDENCE, choose_proposer
from pretrain.evaluation.localisation.detector import Detections, Detector
from pretrain.evaluation.localisation.proposal_options import listed
from pretrain.evaluation.localisation.task_options import SCENE_RECORD, SceneOptions, judge_record
from pretrain.evaluation.metrics.boxes import DetectionScorer, iou
from pretrain.evaluation.metrics.grid_bound import best_cell_box, random_boxes
from pretrain.evaluation.options import one_of
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG, LabelledBox, draw
from pretrain.evaluation.pictures.examples import DrawnExample, EvenlySpaced, write_drawn
from pretrain.evaluation.prompts import choose_templates, prompt_embeddings
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.evaluation.tasks.classification import TEMPLATES_HELP, Templates

SHOWN = 5  # detections drawn on an example


class DetectionOptions(SceneOptions):
    """How boxes get classes and scores."""

    calibration: Annotated[str, one_of((*CALIBRATIONS, EVIDENCE))] = Field(
        "prior",
        description=f"what makes scores of cosines: {', '.join(CALIBRATIONS)}; with embedding ends also {EVIDENCE} "
        "(the class's probability in the box alone, times what the box adds for it)",
    )
    templates: Templates = Field("article", description=TEMPLATES_HELP)

    @model_validator(mode="after")
    def check_calibration(self) -> Self:
        """Raise ValueError where the calibration has no use for the embedding."""
        if self.calibration == EVIDENCE and self.embedding != "ends":
            raise ValueError(
                f"calibration is {EVIDENCE} with embedding: {self.embedding}; set embedding to ends, or calibration to "
                f"{', '.join(CALIBRATIONS)}"
            )
        return self


@dataclass
class DetectedScenes:
    """What was detected, image after image. `numbers` are the places of the class names in `names`.

    `luck` scores random boxes, `bounds` are the best IoUs of whole cells.
    """

    names: list[str]
    numbers: dict[str, int]
    examples: EvenlySpaced[DrawnExample]
    instances: InstancesWriter
    scorer: DetectionScorer = field(default_factory=DetectionScorer)
    luck: DetectionScorer = field(default_factory=DetectionScorer)
    bounds: list[Float[np.ndarray, " T"]] = field(default_factory=list)
    images: int = 0


class Detection(EvaluationTask[DetectionOptions, DetectedScenes]):
    """Mean average precision over the classes at IoU 0.3, at 0.5 and over 0.5 to 0.95 (COCO), zero-shot.

    The classes are all object names of the data, put into the templates (`prompts.TEMPLATES`).

    Yardsticks: `grid_bound` is the share of objects that the best box of whole cells meets at IoU 0.5, which bounds
    recall; `chance` the mAP@0.5 of random boxes with random classes and scores.

    Beside metrics and drawn examples it writes `detections.json` (COCO's results format) and `ground_truth.json`
    (COCO's instances format), for any other judge.
    """

    options = DetectionOptions
    columns: ClassVar = {"mAP@0.3": "mAP@0.3", "mAP@0.5": "mAP@0.5"}
    headlines: ClassVar = {name: name for name in ("mAP@0.3", "mAP@0.5", "chance", "grid_bound")}
    chief = "mAP@0.5"
    counts: ClassVar = {"images": "images", "objects": "objects", "classes": "classes"}
    recorded_as: ClassVar = SCENE_RECORD
    remark = "All objects of the data's classes, found by the classes' names alone; mean average precision in percent."

    def needs_tokens(self, options: DetectionOptions) -> bool:
        """Boxes come from patch tokens and masked images."""
        return True

    def settings(self, evaluation: Evaluation[DetectionOptions]) -> Metrics:
        """The settings of proposals, embedding and calibration."""
        options = evaluation.options
        return {
            "gallery": options.gallery,
            "proposals": choose_proposer(options.proposals, evaluation.token_encoder)[0],
            **judge_record(options),
            "calibration": options.calibration,
            "templates": list(choose_templates(options.templates)),
            "options": listed(options.for_proposals()),
            "image_folder": options.images,
        }

    def check_data(self, data: str, options: DetectionOptions) -> None:
        """Refuse data that name no object."""
        SceneStream(data, images=options.images).names()

    def measure(self, evaluation: Evaluation[DetectionOptions]) -> DetectedScenes:
        """Detect on every image with known boxes. Raises InputError where no object is known."""
        options, encoder = evaluation.options, evaluation.token_encoder
        stream = SceneStream(evaluation.data, images=options.images)
        names = stream.names()
        prompts = prompt_embeddings(encoder, names, options.templates, options.pooling).to(encoder.device)
        detect = Detector(
            encoder,
            choose_proposer(options.proposals, encoder)[1],
            F.normalize(prompts.mean(1), dim=-1),
            options.for_proposals(),
            options.judge(),
            options.calibration,
            prompts=prompts,
        )
        shown = EvenlySpaced[DrawnExample](options.examples if evaluation.output else 0)
        numbers = {name: number for number, name in enumerate(names)}
        detected = DetectedScenes(names, numbers, shown, InstancesWriter(names))
        generator = np.random.default_rng(0)
        for scene in evaluation.gallery(stream):
            _add_scene(detected, scene, detect(scene.image), encoder.grid, generator)
        evaluation.skipped.update(stream.skipped)
        if not sum(map(len, detected.bounds)):
            raise InputError(
                f"data {evaluation.data!r} has no object in {detected.images} images "
                f"(passed over: {in_words(stream.skipped)}); "
                + (
                    "give the folder of the images, --set images=FOLDER"
                    if stream.skipped["no_image"]
                    else "give shards whose JSON has `objects` or `boxes`, or a COCO-format .json with boxes"
                )
            )
        return detected

    def summary(self, evaluation: Evaluation[DetectionOptions], measured: DetectedScenes) -> Metrics:
        """Mean average precisions, yardsticks, precision by class, and the numbers of images, objects and classes."""
        bound = np.concatenate(measured.bounds)
        per_class = {name: np.round(values, 6) for name, values in measured.scorer.per_class().items()}
        return {
            **measured.scorer.summary(),
            "grid_bound": float((bound >= 0.5).mean()),
            "chance": measured.luck.summary()["mAP@0.5"],
            "per_class": {
                measured.names[number]: {
                    "AP@0.3": values[0],
                    "AP@0.5": values[1],
                    "AP@[.5:.95]": float(values[1:].mean()),
                }
                for number, values in per_class.items()
            },
            "images": measured.images,
            "objects": len(bound),
            "classes": len(measured.names),
            "grid": list(evaluation.token_encoder.grid),
        }

    def write_examples(
        self, evaluation: Evaluation[DetectionOptions], measured: DetectedScenes, output: str
    ) -> None:
        """Write the files in COCO's formats, and images with their best detections."""
        measured.instances.write(output)
        write_drawn(output, "detection", measured.examples.chosen())


def _add_scene(
    detected: DetectedScenes,
    scene: Scene,
    detections: Detections,
    grid: tuple[int, int],
    generator: np.random.Generator,
) -> None:
    """Score the detections of one image, and as many random boxes with random classes and scores."""
    truth = np.array([true_object.box for true_object in scene.objects]).reshape(-1, 4)
    true_classes = np.array([detected.numbers[true_object.name] for true_object in scene.objects], dtype=int)
    crowd = np.array([true_object.crowd for true_object in scene.objects], dtype=bool)
    detected.scorer.add(detections.boxes, detections.scores, detections.classes, truth, true_classes, crowd)
    boxes = random_boxes(len(detections.boxes), generator) * np.tile(scene.image.size, 2)
    classes = generator.integers(0, len(detected.names), len(boxes))
    detected.luck.add(boxes, generator.random(len(boxes)), classes, truth, true_classes, crowd)
    detected.bounds.append(best_cell_box(truth[~crowd], grid, scene.image.size))
    detected.instances.add(scene, detections.boxes, detections.scores, detections.classes, true_classes)
    if detected.examples.take_next():
        detected.examples.keep(_example(detected.images, scene, detections, detected.names))
    detected.images += 1


def _example(place: int, scene: Scene, detections: Detections, names: Sequence[str]) -> DrawnExample:
    """The best detections of an image as an entry and drawn: right ones (class and IoU 0.5) in another colour."""
    truth = np.array([true_object.box for true_object in scene.objects]).reshape(-1, 4)
    lines: list[LabelledBox] = [(true_object.box, TRUTH, "") for true_object in scene.objects]
    entries = []
    drawn: list[Float[np.ndarray, "4"]] = []
    shown = zip(detections.boxes[:SHOWN], detections.scores[:SHOWN], detections.classes[:SHOWN], strict=True)
    for box, score, name in shown:
        same_class = np.array([true_object.name == names[name] for true_object in scene.objects], dtype=bool)
        right = bool((iou(box[None], truth[same_class]) >= 0.5).any())
        # The same box under several names is drawn once, under its best name.
        if all(iou(box[None], other[None])[0, 0] < 0.9 for other in drawn):
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
    objects = [
        {"name": true_object.name, "box": [round(value, 1) for value in true_object.box]}
        for true_object in scene.objects
    ]
    entry = {"image": place, "key": scene.key, "objects": objects, "found": entries}
    return entry, draw(scene.image, lines)
