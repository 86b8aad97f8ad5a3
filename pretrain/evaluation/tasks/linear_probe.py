"""Linear probe: how well a linear classifier reads the classes from frozen features (CLIP, section 3.2)."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pretrain.evaluation.data.iteration import batches
from pretrain.evaluation.data.labelled_images import LabelledImage, LabelledStream
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.metrics.classes import mean_per_class
from pretrain.evaluation.metrics.logistic_regression import fit, sweep
from pretrain.evaluation.options import EvaluationOptions, one_of
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.evaluation.tasks.classification import CLASSES_HELP

POOLED, EMBEDDING = "pooled", "embedding"
ENOUGH = 50
"""With so many keys, each of the two fifths lacks an image in one of 70,000 cases (0.8 to the 50th power)."""
TRAIN, VALIDATION, TEST = "train", "validation", "test"


class LinearProbeOptions(EvaluationOptions):
    """Training data, features and fit of the probe. `gallery` bounds training images and test images each."""

    train: str | None = Field(
        None,
        description="training images; null: DATA/train, else three fifths of the data by a checksum of keys",
    )
    features: Annotated[str, one_of((POOLED, EMBEDDING))] = Field(
        POOLED,
        description="pooled: what the tower gives to the projection; embedding: projected, unit length",
    )
    classes: str | None = Field(None, description=CLASSES_HELP)
    refinements: int = Field(4, ge=0, description="times that the step of the search for C is halved")
    max_iterations: int = Field(1000, ge=1, description="iterations of L-BFGS per fit")


@dataclass(frozen=True)
class SplitFeatures:
    """Frozen features and labels by split ("train", "validation", "test"); `names` are the names of all classes."""

    names: list[str]
    splits: Mapping[str, tuple[Float[Tensor, "B D"], Int[Tensor, " B"]]]

    @property
    def trained(self) -> set[int]:
        """The classes that have a training or a validation image."""
        return {*self.splits[TRAIN][1].tolist(), *self.splits[VALIDATION][1].tolist()}


class LinearProbe(EvaluationTask[LinearProbeOptions, SplitFeatures]):
    """top1 of a multinomial logistic regression on the test images, fitted by L-BFGS on the training images.

    The inverse regularisation C is chosen on a validation split, a fifth of the training images
    (`logistic_regression.sweep`); the last fit is on all training images.

    Training images are those of `train`; without it those of DATA/train, the test images being DATA/test, or DATA/val;
    without these folders, three fifths of the data train, one fifth validates and one fifth tests, by a checksum of
    their keys; `gallery` then bounds all of them together. A test image of a class without a training image counts,
    and cannot be right.
    """

    options = LinearProbeOptions
    columns: ClassVar = {"top1": "linear probe"}
    headlines: ClassVar = {"top1": "top1", "chance": "chance"}
    chief = "top1"
    counts: ClassVar = {"classes": "classes"}
    remark = "A linear classifier on frozen features, in percent."
    recorded_as: ClassVar = {"classes": "class_names"}  # `classes` is the number of classes
    fitted = ("inverse_regularisation",)

    def check_data(self, data: str, options: LinearProbeOptions) -> None:
        """Refuse data without a class, and names that do not fit the classes."""
        for uri in dict.fromkeys(find_splits(data, options.train)):
            LabelledStream(uri, options.classes)

    def measure(self, evaluation: Evaluation[LinearProbeOptions]) -> SplitFeatures:
        """Embed all images. Raises InputError where a split is empty or no test class was trained."""
        train_data, test_data = find_splits(evaluation.data, evaluation.options.train)
        measured = _embed_splits(evaluation, train_data, test_data)
        if measured.trained.isdisjoint(measured.splits[TEST][1].tolist()):
            raise InputError(
                f"no class of the test images {evaluation.data!r} has a training image in {train_data!r}; "
                "their names must agree"
            )
        return measured

    def summary(self, evaluation: Evaluation[LinearProbeOptions], measured: SplitFeatures) -> Metrics:
        """Choose C, fit, and score the test images."""
        options, classes = evaluation.options, len(measured.names)
        train, validation, test = (measured.splits[name] for name in (TRAIN, VALIDATION, TEST))
        strength, validated = sweep(train, validation, classes, options.refinements, options.max_iterations)
        features, labels = torch.cat([train[0], validation[0]]), torch.cat([train[1], validation[1]])
        classifier = fit(features, labels, classes, strength, max_iterations=options.max_iterations)
        right = classifier(test[0]).argmax(1) == test[1]
        return {
            "top1": float(right.double().mean()),
            "mean_per_class": mean_per_class(right, test[1]),
            "validation_top1": validated,
            "inverse_regularisation": strength,
            "chance": 1 / classes,
            "images": {name: len(labels) for name, (_, labels) in measured.splits.items()},
            "classes": classes,
            "untrained_classes": classes - len(measured.trained),
        }


def _embed_splits(
    evaluation: Evaluation[LinearProbeOptions], train_data: str, test_data: str
) -> SplitFeatures:
    options = evaluation.options
    streams = {uri: LabelledStream(uri, options.classes) for uri in dict.fromkeys((train_data, test_data))}
    names = sorted({name for stream in streams.values() for name in stream.names})
    number = {name: place for place, name in enumerate(names)}
    vectors: dict[str, list[Tensor]] = {TRAIN: [], VALIDATION: [], TEST: []}
    labels: dict[str, list[int]] = {TRAIN: [], VALIDATION: [], TEST: []}
    done = 0
    for uri, stream in streams.items():
        names_of_data, of_stream = stream.names, 0
        for batch in batches(islice(stream, options.gallery), options.batch_size):
            embedded = embed(evaluation.encoder, batch, options.features)
            for labelled, vector in zip(batch, embedded, strict=True):
                split = split_of(labelled.key)
                if train_data != test_data:
                    split = TEST if uri == test_data else split if split == VALIDATION else TRAIN
                vectors[split].append(vector)
                labels[split].append(number[names_of_data[labelled.label]])
            done, of_stream = done + len(batch), of_stream + len(batch)
            evaluation.report(done, None)
        evaluation.count_shortage(of_stream)
    for split, numbers in labels.items():
        if not numbers:
            raise InputError(
                f"data {evaluation.data!r} leaves no {split} image of {done} with a class; a fifth of all keys is for "
                f"validation, a fifth for the test: give {ENOUGH} images or more, or --set train=URI with {ENOUGH} for "
                "training and validation"
            )
    evaluation.skipped.update(sum((stream.skipped for stream in streams.values()), Counter[str]()))
    return SplitFeatures(
        names, {split: (torch.stack(rows), torch.tensor(labels[split])) for split, rows in vectors.items()}
    )


def find_splits(data: str, train: str | None) -> tuple[str, str]:
    """(URI of the training images, URI of the test images); the same URI when one set must serve both."""
    if train is not None:
        return train, data
    fs, path = filesystem(data)
    root = data.rstrip("/")
    for test in (TEST, "val"):
        if fs.isdir(f"{path.rstrip('/')}/{TRAIN}") and fs.isdir(f"{path.rstrip('/')}/{test}"):
            return f"{root}/{TRAIN}", f"{root}/{test}"
    return data, data


def split_of(key: str) -> str:
    """A fifth of all keys is "validation", a fifth "test", the rest "train": always the same for a key."""
    return {0: VALIDATION, 1: TEST}.get(zlib.crc32(key.encode()) % 5, TRAIN)


@torch.inference_mode()
def embed(encoder: ExportedEncoder, batch: list[LabelledImage], features: str) -> Float[Tensor, "B D"]:
    """Frozen features of a batch, fp32 on the CPU. Raises InputError as `ExportedEncoder.pool_images` does."""
    images = [labelled.image for labelled in batch]
    return encoder.embed_images(images) if features == EMBEDDING else encoder.pool_images(images)
