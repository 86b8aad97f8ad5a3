"""Zero-shot classification: the class whose prompts are nearest to the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.iteration import batches
from pretrain.evaluation.data.labelled_images import LabelledImage, LabelledStream
from pretrain.evaluation.data.samples import in_words
from pretrain.evaluation.metrics.classes import mean_per_class, rank_of_class
from pretrain.evaluation.options import ExampleOptions, accepted_by
from pretrain.evaluation.pictures.boxes import draw
from pretrain.evaluation.pictures.examples import DrawnExample, EvenlySpaced, write_drawn
from pretrain.evaluation.prompts import TEMPLATES, choose_templates, class_embeddings
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics

SHOWN = 5

Templates = Annotated[str | tuple[str, ...], accepted_by(choose_templates)]
TEMPLATES_HELP = f"prompts of a class: {', '.join(TEMPLATES)}, or texts with one {{}} for the name"
CLASSES_HELP = (
    "JSON file with {class as the data has it: name} of all classes, or a list of names in the order of the sorted "
    "classes (of classes that are numbers: by number); null: names of the data"
)


class ClassificationOptions(ExampleOptions):
    """Prompts and names of the classes."""

    templates: Templates = Field("article", description=TEMPLATES_HELP)
    classes: str | None = Field(None, description=CLASSES_HELP)


@dataclass
class ClassifiedImages:
    """Ranks and labels, batch by batch, and examples. `names` are the names of all classes."""

    names: list[str]
    examples: EvenlySpaced[DrawnExample]
    ranks: list[Int[Tensor, " B"]] = field(default_factory=list)
    labels: list[Int[Tensor, " B"]] = field(default_factory=list)


class Classification(EvaluationTask[ClassificationOptions, ClassifiedImages]):
    """top1, top5 and the mean over classes of each class's top1, over the first `gallery` labelled images or all.

    The data are folders by class or shards (`labelled_images.LabelledStream`). A class is the mean of its prompts
    (`prompts`). Ties count against the model. `chance` is one in the number of classes, all of them candidates whether
    an image of theirs was looked at or not.
    """

    options = ClassificationOptions
    columns: ClassVar = {"top1": "top-1"}
    headlines: ClassVar = {"top1": "top1", "chance": "chance"}
    chief = "top1"
    counts: ClassVar = {"images": "images", "classes": "classes"}
    recorded_as: ClassVar = {"classes": "class_names"}  # `classes` is the number of classes
    remark = "Zero-shot from the classes' names, in percent; ties count against the model."

    def settings(self, evaluation: Evaluation[ClassificationOptions]) -> Metrics:
        """The templates as texts; `class_names` is the file that names the classes."""
        templates = list(choose_templates(evaluation.options.templates))
        return {**super().settings(evaluation), "templates": templates}

    def check_data(self, data: str, options: ClassificationOptions) -> None:
        """Refuse data without a class, and names that do not fit the classes."""
        LabelledStream(data, options.classes)

    def measure(self, evaluation: Evaluation[ClassificationOptions]) -> ClassifiedImages:
        """Rank the classes for every image. Raises InputError where there is no labelled image."""
        options, encoder = evaluation.options, evaluation.encoder
        stream = LabelledStream(evaluation.data, options.classes)
        texts = class_embeddings(encoder, stream.names, options.templates)
        classified = ClassifiedImages(
            stream.names, EvenlySpaced(options.examples if evaluation.output else 0)
        )
        done = 0
        for batch in batches(islice(stream, options.gallery), options.batch_size):
            scores = encoder.embed_images([labelled.image for labelled in batch]) @ texts.T
            labels = torch.tensor([labelled.label for labelled in batch])
            classified.ranks.append(rank_of_class(scores, labels))
            classified.labels.append(labels)
            for row, labelled in enumerate(batch):
                if classified.examples.take_next():
                    example = _example(done + row, labelled, scores[row], classified.names)
                    classified.examples.keep(example)
            done += len(batch)
            evaluation.report(done, options.gallery)
        if not done:
            raise InputError(
                f"data {evaluation.data!r} has no readable image with a class (passed over: {in_words(stream.skipped)})"
            )
        evaluation.skipped.update(stream.skipped)
        evaluation.count_shortage(done)
        return classified

    def summary(self, evaluation: Evaluation[ClassificationOptions], measured: ClassifiedImages) -> Metrics:
        """Accuracies and the numbers of images and classes."""
        ranks, labels = torch.cat(measured.ranks), torch.cat(measured.labels)
        return {
            "top1": float((ranks < 1).double().mean()),
            "top5": float((ranks < 5).double().mean()),
            "mean_per_class": mean_per_class(ranks < 1, labels),
            "chance": 1 / len(measured.names),
            "images": len(ranks),
            "classes": len(measured.names),
        }

    def write_examples(
        self, evaluation: Evaluation[ClassificationOptions], measured: ClassifiedImages, output: str
    ) -> None:
        """Write images with the classes that scored best."""
        write_drawn(output, "classification", measured.examples.chosen())


def _example(
    place: int, labelled: LabelledImage, scores: Float[Tensor, " N"], names: list[str]
) -> DrawnExample:
    best = scores.sort(descending=True, stable=True)
    hits = [
        {"name": names[number], "score": round(float(score), 4)}
        for number, score in zip(best.indices[:SHOWN].tolist(), best.values[:SHOWN], strict=False)
    ]
    entry = {"image": place, "key": labelled.key, "class": names[labelled.label], "found": hits}
    return entry, draw(labelled.image, [])
