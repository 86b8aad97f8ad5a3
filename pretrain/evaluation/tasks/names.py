"""Names: which of the data's names does an object have, judged on its true box, judge by judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from data_filters.errors import InputError
from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.evaluation.data.samples import in_words
from pretrain.evaluation.data.scene import TrueObject
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.prompts import prompt
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.evaluation.token_encoder import POOLINGS, TokenEncoder

BARE, ATTRIBUTES = "bare", "attributes"
PARTS = (
    ("alone", "centre", "zero"),
    ("alone", "touched", "zero"),
    ("alone", "touched", "median"),
    ("alone", "touched", "blur"),
    ("alone", "pixels", "median"),
    ("alone", "pixels", "blur"),
    ("patches", "pixels", "zero"),
)
"""`embedding`, `cover` and `fill` of the judges that are compared. Of patch tokens nothing is filled in."""
JUDGES = tuple(Judge(*part, pooling) for part in PARTS for pooling in POOLINGS)


class NamesOptions(EvaluationOptions):
    """Which images are judged."""

    batch_size: int = Field(
        256, ge=1, description="masked images per forward pass", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    images: str | None = Field(
        None,
        description="folder of image files or shards for data in COCO's format; null: the folder of the JSON",
    )


@dataclass
class NamedObjects:
    """Right answers by judge and prompt, and the numbers of objects and images."""

    names: list[str]
    right: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    described: int = 0
    images: int = 0


class Names(EvaluationTask[NamesOptions, NamedObjects]):
    """The share of objects whose own name scores highest among all names of the data, on the true box.

    No box has to be found: this is what the model knows, apart from where it looks. Each judge has a line of its own,
    `EMBEDDING/COVER/FILL/POOLING` (`localisation.judge`); with `bare` the texts are names ("a dog"), with `attributes`
    the object's own size and color stand before every name ("a small red dog"), where the data say them. `accuracy` is
    the best of those that all objects have, `best` says which. `described` counts objects with attributes; `chance` is
    one of the names at random.
    """

    options = NamesOptions
    columns: ClassVar = {"accuracy": "names on true boxes"}
    headlines: ClassVar = {name: name for name in ("accuracy", "chance")}
    chief = "accuracy"
    counts: ClassVar = {"images": "images", "objects": "objects", "classes": "classes"}
    recorded_as: ClassVar = {"images": "image_folder"}
    remark = "Which of the data's names an object on its true box has; share of right ones in percent."

    def needs_tokens(self, options: NamesOptions) -> bool:
        """Parts of images are embedded."""
        return True

    def check_data(self, data: str, options: NamesOptions) -> None:
        """Refuse data that name no object."""
        SceneStream(data, images=options.images).names()

    def measure(self, evaluation: Evaluation[NamesOptions]) -> NamedObjects:
        """Judge every object that is no crowd. Raises InputError where there is none, or only one name."""
        stream = SceneStream(evaluation.data, images=evaluation.options.images)
        named = NamedObjects(stream.names())
        if len(named.names) == 1:
            raise InputError(
                f"data {evaluation.data!r} have one name, {named.names[0]!r}; give data with objects of several"
            )
        texts = NameTexts(evaluation.token_encoder, named.names)
        for scene in evaluation.gallery(stream):
            objects = [true_object for true_object in scene.objects if not true_object.crowd]
            named.images += 1
            if objects:
                pixels = evaluation.token_encoder.pixels([scene.image])
                _judge(named, texts, pixels, objects, scene.image.size, evaluation.options.batch_size)
        evaluation.skipped.update(stream.skipped)
        if not named.objects:
            raise InputError(
                f"data {evaluation.data!r} has no object in {named.images} images "
                f"(passed over: {in_words(stream.skipped)}); give shards whose JSON has `objects` or `boxes`, or a "
                "COCO-format .json with boxes"
            )
        return named

    def summary(self, evaluation: Evaluation[NamesOptions], measured: NamedObjects) -> Metrics:
        """The accuracy of every judge, and of the best."""
        total = {BARE: measured.objects, ATTRIBUTES: measured.described}
        shares = {name: right / total[name.rpartition("/")[2]] for name, right in measured.right.items()}
        # Of a part of the objects a share would not be comparable.
        whole = [name for name in shares if total[name.rpartition("/")[2]] == measured.objects]
        best = max(whole, key=shares.__getitem__)
        return {
            "accuracy": shares[best],
            "best": best,
            "judges": shares,
            "chance": 1 / len(measured.names),
            "images": measured.images,
            "objects": measured.objects,
            "described": measured.described,
            "classes": len(measured.names),
        }


class NameTexts:
    """Embeddings of all names as texts, by pooling and by what stands before the name."""

    def __init__(self, encoder: TokenEncoder, names: Sequence[str]) -> None:
        self.encoder, self.names = encoder, list(names)
        self._known: dict[tuple[str, str], Tensor] = {}

    def __call__(self, attributes: str, pooling: str) -> Float[Tensor, "N D"]:
        """A text per name, `a NAME` or `a ATTRIBUTES NAME`."""
        key = (attributes, pooling)
        if key not in self._known:
            words = [f"{attributes} {name}".strip() for name in self.names]
            self._known[key] = self.encoder.texts([prompt("a {}", text) for text in words], pooling=pooling)
        return self._known[key]


def _judge(
    named: NamedObjects,
    texts: NameTexts,
    pixels: Float[Tensor, "1 3 H W"],
    objects: Sequence[TrueObject],
    size: tuple[int, int],
    chunk: int,
) -> None:
    """Count the right answers of every judge on the objects of one image."""
    boxes = torch.tensor([_centred(true_object, size) for true_object in objects], device=pixels.device)
    truth = torch.tensor(
        [texts.names.index(true_object.name) for true_object in objects], device=pixels.device
    )
    for judge in JUDGES:
        embedded = embed_boxes(texts.encoder, pixels, boxes, judge, chunk)
        for kind, rows, compared in _prompted(texts, objects, judge.pooling):
            scores = torch.stack([embedded[row] @ own.T for row, own in zip(rows, compared, strict=True)])
            label = "/".join((judge.embedding, judge.cover, judge.fill, judge.pooling, kind))
            right = int((scores.argmax(-1) == truth[rows]).sum())
            named.right[label] = named.right.get(label, 0) + right
    named.objects += len(objects)
    named.described += sum(bool(true_object.attributes) for true_object in objects)


def _prompted(
    texts: NameTexts, objects: Sequence[TrueObject], pooling: str
) -> Iterator[tuple[str, list[int], list[Tensor]]]:
    """(kind of prompt, rows of the objects that it can be made for, the names' texts for each)."""
    yield BARE, list(range(len(objects))), [texts("", pooling)] * len(objects)
    rows = [row for row, true_object in enumerate(objects) if true_object.attributes]
    if rows:
        yield ATTRIBUTES, rows, [texts(objects[row].attributes, pooling) for row in rows]


def _centred(true_object: TrueObject, size: tuple[int, int]) -> list[float]:
    """(centre x, centre y, width, height) as fractions of an image of `size` (width, height) px."""
    left, top, width, height = true_object.box
    return [(left + width / 2) / size[0], (top + height / 2) / size[1], width / size[0], height / size[1]]
