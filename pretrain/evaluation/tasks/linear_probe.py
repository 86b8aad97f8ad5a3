"""Linear probe: how well a linear classifier reads the classes from frozen features (CLIP, section 3.2)."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from itertools import islice
from typing import Any

import fsspec
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Progress
from pretrain.evaluation.data.labelled_images import Labelled, LabelledStream
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.results import claim_output, write_metrics
from pretrain.evaluation.tasks.classification import batches, mean_per_class

COARSE = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)  # log10 of the inverse regularisation
FEATURES = ("pooled", "embedding")
_TRAIN, _VALIDATION, _TEST = "train", "validation", "test"


def evaluate_linear_probe(
    export: str,
    data: str,
    output: str | None = None,
    *,
    gallery: int | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    progress: Progress | None = None,
    train: str | None = None,
    features: str = "pooled",
    classes: str | None = None,
    refinements: int = 4,
    max_iterations: int = 1000,
) -> dict[str, Any]:
    """top1 of a multinomial logistic regression on the test images, fitted by L-BFGS on the training images.

    The inverse regularisation C is swept on a validation split, a fifth of the training images: powers of ten two
    apart, then `refinements` times half the step to both sides of the best. The last fit is on all training images.

    Training images are those of `train`; without it those of DATA/train, the test images being DATA/test, or DATA/val;
    without these folders, three fifths of `data` train, one fifth validates and one fifth tests, by a checksum of
    their keys. `gallery` bounds training images and test images each (in the last case, both together). `features`:
    "pooled" (what the tower gives to the projection) or "embedding" (projected, unit length). `data` and `classes`
    as in classification. A test image of a class without a training image counts, and cannot be right.

    Raises InputError on a bad path or option, where a split is empty, or for an output with other results.
    """
    began = time.perf_counter()
    if features not in FEATURES:
        raise InputError(f"features is {features!r}; allowed are {', '.join(FEATURES)}")
    identity = {
        "task": "linear-probe",
        "export": export,
        "data": data,
        "train": train,
        "gallery": gallery,
        "features": features,
    }
    if output is not None:
        claim_output(output, identity)
    encoder = ExportedEncoder(export, device)
    fit_data, test_data = find_splits(data, train)
    streams = {part: LabelledStream(part, classes) for part in dict.fromkeys((fit_data, test_data))}
    names = sorted({name for stream in streams.values() for name in stream.names})
    place = {name: at for at, name in enumerate(names)}
    rows: dict[str, tuple[list[Tensor], list[int]]] = {
        name: ([], []) for name in (_TRAIN, _VALIDATION, _TEST)
    }
    done = 0
    for part, stream in streams.items():
        own = stream.names
        for batch in batches(islice(stream, gallery), batch_size):
            for one, vector in zip(batch, embed(encoder, batch, features), strict=True):
                split = split_of(one.key)
                if fit_data != test_data:
                    split = _TEST if part == test_data else split if split == _VALIDATION else _TRAIN
                rows[split][0].append(vector)
                rows[split][1].append(place[own[one.label]])
            done += len(batch)
            if progress is not None:
                progress(done, None)
    for name, (_, labels) in rows.items():
        if not labels:
            raise InputError(
                f"data {data!r} leaves no {name} image ({done} with a class were read); give more images, or --train"
            )
    read = {name: (torch.stack(vectors), torch.tensor(labels)) for name, (vectors, labels) in rows.items()}
    known = {*read[_TRAIN][1].tolist(), *read[_VALIDATION][1].tolist()}
    if known.isdisjoint(read[_TEST][1].tolist()):
        raise InputError(
            f"no class of the test images {data!r} has a training image in {fit_data!r}; their names must agree"
        )
    strength, validated = sweep(read[_TRAIN], read[_VALIDATION], len(names), refinements, max_iterations)
    everything = tuple(torch.cat(both) for both in zip(read[_TRAIN], read[_VALIDATION], strict=True))
    probe = fit(*everything, len(names), strength, max_iterations=max_iterations)
    right = probe(read[_TEST][0]).argmax(1) == read[_TEST][1]
    metrics = {
        **identity,
        "top1": float(right.double().mean()),
        "mean_per_class": mean_per_class(right, read[_TEST][1]),
        "validation_top1": validated,
        "inverse_regularisation": strength,
        "chance": 1 / len(names),
        "images": {name: len(part[1]) for name, part in read.items()},
        "classes": len(names),
        "untrained_classes": len(names) - len(known),
        "skipped": dict(sum((stream.skipped for stream in streams.values()), Counter())),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        write_metrics(output, metrics)
    return metrics


class Probe:
    """A linear classifier: weights [D, N], bias [N]; fp64."""

    def __init__(self, weights: Float[Tensor, "D N"], bias: Float[Tensor, " N"]) -> None:
        self.weights, self.bias = weights, bias

    def __call__(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B N"]:
        """Logits."""
        return features.double() @ self.weights + self.bias


def fit(
    features: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    classes: int,
    strength: float,
    *,
    start: Probe | None = None,
    max_iterations: int = 1000,
) -> Probe:
    """Minimise strength × Σ cross-entropy + |weights|²/2 by L-BFGS; the bias is free. `strength` is CLIP's C.

    The objective is divided by the number of images and C, which moves no minimum, so that tolerances mean the same
    at every strength.
    """
    x = features.double()
    weights = (
        torch.zeros(x.shape[1], classes, dtype=torch.float64) if start is None else start.weights.clone()
    )
    bias = torch.zeros(classes, dtype=torch.float64) if start is None else start.bias.clone()
    weights.requires_grad_()
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weights + bias, labels)
        value = value + weights.square().sum() / (2 * strength * len(x))
        value.backward()
        return value

    optimizer.step(loss)
    return Probe(weights.detach(), bias.detach())


def sweep(
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    classes: int,
    refinements: int = 4,
    max_iterations: int = 1000,
) -> tuple[float, float]:
    """(the best C on the validation images, its accuracy there); of equally good ones the most regularised."""
    scores: dict[float, float] = {}

    def score(power: float, start: Probe | None) -> Probe:
        probe = fit(*train, classes, 10**power, start=start, max_iterations=max_iterations)
        scores[power] = float((probe(validation[0]).argmax(1) == validation[1]).double().mean())
        return probe

    def best() -> float:
        return min(scores, key=lambda power: (-scores[power], power))

    probe = None
    for power in COARSE:
        probe = score(power, probe)
    step = (COARSE[1] - COARSE[0]) / 2
    for _ in range(refinements):
        centre = best()
        for power in (centre - step, centre + step):
            if power not in scores and COARSE[0] <= power <= COARSE[-1]:
                score(power, None)
        step /= 2
    return 10 ** best(), scores[best()]


def find_splits(data: str, train: str | None) -> tuple[str, str]:
    """(URI of the training images, URI of the test images); the same URI when one set must serve both."""
    if train is not None:
        return train, data
    fs, path = fsspec.url_to_fs(data)
    root = data.rstrip("/")
    for test in (_TEST, "val"):
        if fs.isdir(f"{path.rstrip('/')}/{_TRAIN}") and fs.isdir(f"{path.rstrip('/')}/{test}"):
            return f"{root}/{_TRAIN}", f"{root}/{test}"
    return data, data


def split_of(key: str) -> str:
    """A fifth of all keys is "validation", a fifth "test", the rest "train": always the same for a key."""
    return {0: _VALIDATION, 1: _TEST}.get(zlib.crc32(key.encode()) % 5, _TRAIN)


@torch.inference_mode()
def embed(encoder: ExportedEncoder, batch: list[Labelled], features: str) -> Float[Tensor, "B D"]:
    """Frozen features of a batch, fp32 on the CPU."""
    images = [one.image for one in batch]
    if features == "embedding":
        return encoder.embed_images(images)
    tower = getattr(encoder.model, "vision_model", None)
    if tower is None:
        raise InputError(
            f"the export is a {type(encoder.model).__name__} without a vision_model; use features=embedding"
        )
    inputs = encoder.processor(images=images, return_tensors="pt").to(encoder.device)
    return tower(pixel_values=inputs["pixel_values"]).pooler_output.float().cpu()
