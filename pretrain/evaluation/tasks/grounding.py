"""Grounding: where in the image is what an expression refers to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from pydantic import Field

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import in_words
from pretrain.evaluation.data.scene import Expression, Scene
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import choose_proposer
from pretrain.evaluation.localisation.grounding import ground
from pretrain.evaluation.localisation.proposal_options import listed
from pretrain.evaluation.localisation.task_options import SCENE_RECORD, SceneOptions, judge_record
from pretrain.evaluation.metrics.boxes import in_pixels, iou
from pretrain.evaluation.metrics.grid_bound import Chance, best_cell_box
from pretrain.evaluation.metrics.grounding import GroundingScores
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG, draw
from pretrain.evaluation.pictures.examples import DrawnExample, EvenlySpaced, write_drawn
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics


class GroundingOptions(SceneOptions):
    """Which expressions are grounded, and how."""

    split: str | None = Field(None, description="split of RefCOCO's refs; null: all")
    kinds: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="kinds of expressions that are grounded, where the data say them (the icon world: name, color, "
        "size, full, superlative, relation); null: all",
    )

    def wants(self, expression: Expression) -> bool:
        """Whether an expression is grounded."""
        return self.kinds is None or expression.kind in self.kinds


@dataclass
class GroundedScenes:
    """The scores of all expressions, and examples."""

    examples: EvenlySpaced[DrawnExample]
    scores: GroundingScores = field(default_factory=GroundingScores)


class Grounding(EvaluationTask[GroundingOptions, GroundedScenes]):
    """Top-1 accuracy at IoU 0.5 over all referring expressions of the first `gallery` images, or of all.

    Beside the accuracy: at IoU 0.3, centre inside the object, mean IoU, the accuracy by kind of expression; and four
    yardsticks, each the share at IoU 0.5: `grid_bound` the best box of whole cells, `chance` a random box,
    `chance_object` the exact box of a random object of the same image, `text_blind` the accuracy after permuting the
    image's boxes among its expressions; the difference is due to the text.
    """

    options = GroundingOptions
    columns: ClassVar = {"accuracy@0.5": "grounding@0.5"}
    headlines: ClassVar = {
        name: name for name in ("accuracy@0.5", "accuracy@0.3", "text_blind", "chance", "grid_bound")
    }
    chief = "accuracy@0.5"
    counts: ClassVar = {"images": "images", "count": "texts"}
    recorded_as: ClassVar = SCENE_RECORD
    remark = "One box for each referring expression; share of right ones in percent."

    def needs_tokens(self, options: GroundingOptions) -> bool:
        """Boxes come from patch tokens and masked images."""
        return True

    def settings(self, evaluation: Evaluation[GroundingOptions]) -> Metrics:
        """The settings of proposals and embedding, and the split."""
        options = evaluation.options
        return {
            "gallery": options.gallery,
            "proposals": choose_proposer(options.proposals, evaluation.token_encoder)[0],
            **judge_record(options),
            "options": listed(options.for_proposals()),
            "split": options.split,
            **({} if options.kinds is None else {"kinds": list(options.kinds)}),
            "image_folder": options.images,
        }

    def check_data(self, data: str, options: GroundingOptions) -> None:
        """Refuse data that are not there, and a split that they do not have."""
        SceneStream(data, images=options.images, split=options.split)

    def measure(self, evaluation: Evaluation[GroundingOptions]) -> GroundedScenes:
        """Find a box for every expression. Raises InputError where there is none."""
        options, encoder = evaluation.options, evaluation.token_encoder
        proposer = choose_proposer(options.proposals, encoder)[1]
        stream = SceneStream(evaluation.data, images=options.images, split=options.split)
        grounded = GroundedScenes(EvenlySpaced(options.examples if evaluation.output else 0))
        chance, settings = Chance(), options.for_proposals()
        for place, scene in enumerate(evaluation.gallery(stream)):
            wanted = tuple(expression for expression in scene.expressions if options.wants(expression))
            if not wanted:
                continue
            scene = replace(scene, expressions=wanted)
            pixels = encoder.pixels([scene.image])
            texts = encoder.texts(
                [expression.text for expression in scene.expressions], pooling=options.pooling
            )
            boxes = ground(encoder, proposer, pixels, texts, settings, options.judge())
            _add_scene(grounded, place, scene, in_pixels(boxes, scene.image.size), encoder.grid, chance)
        evaluation.skipped.update(stream.skipped)
        if not grounded.scores:
            raise InputError(
                f"data {evaluation.data!r} has no referring expression{_of(options.kinds)} (passed over: "
                f"{in_words(stream.skipped)}); give shards whose JSON has `referring`, or RefCOCO's refs as JSON"
            )
        return grounded

    def summary(self, evaluation: Evaluation[GroundingOptions], measured: GroundedScenes) -> Metrics:
        """Accuracies, yardsticks and the numbers of expressions (`count`) and images."""
        return {**measured.scores.summary(), "grid": list(evaluation.token_encoder.grid)}

    def write_examples(
        self, evaluation: Evaluation[GroundingOptions], measured: GroundedScenes, output: str
    ) -> None:
        """Write images with the found and the true box of one expression each."""
        write_drawn(output, "grounding", measured.examples.chosen())


def _of(kinds: tuple[str, ...] | None) -> str:
    return "" if kinds is None else f" of kind {', '.join(kinds)}"


def _add_scene(
    grounded: GroundedScenes,
    place: int,
    scene: Scene,
    boxes: Float[np.ndarray, "N 4"],
    grid: tuple[int, int],
    chance: Chance,
) -> None:
    """Score the boxes found for the expressions of image number `place`."""
    objects = np.array([true_object.box for true_object in scene.objects])
    truth = objects[[expression.target for expression in scene.expressions]]
    kinds = [expression.kind for expression in scene.expressions]
    bound, luck = best_cell_box(truth, grid, scene.image.size), chance(truth, scene.image.size)
    grounded.scores.add(boxes, truth, kinds, bound, luck, objects)
    if grounded.examples.take_next():
        number = place % len(scene.expressions)
        text = scene.expressions[number].text
        grounded.examples.keep(_example(place, scene, text, boxes[number], truth[number]))


def _example(
    place: int, scene: Scene, text: str, box: Float[np.ndarray, "4"], truth: Float[np.ndarray, "4"]
) -> DrawnExample:
    overlap = float(iou(box[None], truth[None])[0, 0])
    entry = {
        "image": place,
        "key": scene.key,
        "text": text,
        "box": box.round(1).tolist(),
        "truth": truth.round(1).tolist(),
        "iou": round(overlap, 3),
    }
    color = RIGHT if overlap >= 0.5 else WRONG
    return entry, draw(scene.image, [(truth, TRUTH, ""), (box, color, "")])
