"""Zero-shot classification: the class whose prompts are nearest to the image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Progress
from pretrain.evaluation.data.labelled_images import Labelled, LabelledStream
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.metrics.recall import TIE
from pretrain.evaluation.pictures.boxes import EvenlySpaced, draw, write_drawn
from pretrain.evaluation.prompts import choose_templates, class_embeddings
from pretrain.evaluation.results import claim_output, write_metrics

SHOWN = 5


def evaluate_classification(
    export: str,
    data: str,
    output: str | None = None,
    *,
    gallery: int | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    examples: int = 8,
    progress: Progress | None = None,
    templates: str | Sequence[str] = "article",
    classes: str | None = None,
) -> dict[str, Any]:
    """top1, top5 and the mean over classes of each class's top1, over the first `gallery` labelled images or all.

    `data`: folders by class or shards (`labelled.LabelledStream`, which `classes` goes to). `templates`: a set's name
    or texts (`prompts`); a class is the mean of its prompts. Ties go against the model. `chance` is one in the
    number of classes, all of them candidates whether an image of theirs was looked at or not.

    Raises InputError on a bad path or option, or for an output with other results.
    """
    began = time.perf_counter()
    identity = {
        "task": "classification",
        "export": export,
        "data": data,
        "gallery": gallery,
        "templates": list(choose_templates(templates)),
        "class_names": classes,
    }
    if output is not None:
        claim_output(output, identity)
    encoder = ExportedEncoder(export, device)
    stream = LabelledStream(data, classes)
    names = stream.names
    texts = class_embeddings(encoder, names, templates)
    shown: EvenlySpaced[tuple[dict[str, Any], Image.Image]] = EvenlySpaced(examples if output else 0)
    places, labels = [], []
    done = 0
    for batch in batches(islice(stream, gallery), batch_size):
        scores = encoder.embed_images([one.image for one in batch]) @ texts.T
        label = torch.tensor([one.label for one in batch])
        places.append(rank_of_class(scores, label))
        labels.append(label)
        for row, one in enumerate(batch):
            if shown.wanted():
                best = scores[row].sort(descending=True, stable=True)
                found = [
                    {"name": names[at], "score": round(float(score), 4)}
                    for at, score in zip(best.indices[:SHOWN].tolist(), best.values[:SHOWN], strict=False)
                ]
                entry = {"image": done + row, "key": one.key, "class": names[one.label], "found": found}
                shown.keep((entry, draw(one.image, [])))
        done += len(batch)
        if progress is not None:
            progress(done, gallery)
    if not done:
        raise InputError(
            f"data {data!r} has no readable image with a class (passed over: {dict(stream.skipped)})"
        )
    place, label = torch.cat(places), torch.cat(labels)
    metrics = {
        **identity,
        "top1": float((place < 1).double().mean()),
        "top5": float((place < 5).double().mean()),
        "mean_per_class": mean_per_class(place < 1, label),
        "chance": 1 / len(names),
        "images": done,
        "classes": len(names),
        "skipped": dict(stream.skipped),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        write_drawn(output, "classification", shown.chosen())
        write_metrics(output, metrics)
    return metrics


def rank_of_class(scores: Float[Tensor, "B N"], label: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """How many wrong classes score no less than the right one (`recall.TIE` below it at most)."""
    right = scores.gather(1, label[:, None])
    return (scores >= right - TIE).sum(1) - 1


def mean_per_class(right: Tensor, label: Int[Tensor, " B"]) -> float:
    """Mean over the classes that occur of the share of right answers among the class's images."""
    shares = [float(right[label == name].double().mean()) for name in label.unique()]
    return sum(shares) / len(shares)


def batches(stream: Iterator[Labelled], size: int) -> Iterator[list[Labelled]]:
    """Lists of `size` images, the last one shorter."""
    if size < 1:
        raise InputError(f"batch_size is {size}; allowed are numbers from 1")
    while batch := list(islice(stream, size)):
        yield batch
