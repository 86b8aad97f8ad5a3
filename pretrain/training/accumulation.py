"""Computes the gradients of one optimiser step from several micro-batches, equal to those of the whole batch.

A contrastive loss does not split over micro-batches, because every pair is a negative of every other. GradCache (Gao et
al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup") splits the encoding instead:

1. All micro-batches except the first are encoded without keeping activations; the first is encoded with them.
2. The loss over all features is computed. Its backward pass gives the gradients of the heads, of the towers for the
   first micro-batch, and of the cached features of the others.
3. Each of the others is encoded again with the same random seed, and its features' gradients are propagated into the
   towers.

N micro-batches cost 2N - 1 encodings. Memory holds the activations of one micro-batch and the features of all,
and of what the losses encode by themselves (phrases of phrase_contrast).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import Rows
from pretrain.training.engine import Engine

RowsOf = TypeVar("RowsOf", bound=Rows)


def accumulate_gradients(engine: Engine, parts: Sequence[Batch], step: StepContext) -> dict[str, Tensor]:
    """Add the gradients of the loss over all micro-batches `parts` of this rank; return its losses and metrics.

    The gradients stay in the engine until its next step. Dropout follows from the step's seed: part i is encoded with
    seed + i, both times. Suppliers draw from the step's generator.
    """
    if len(parts) == 1:
        torch.manual_seed(step.seed)
        values: dict[str, Tensor] = engine.forward(parts[0], step)
        engine.backward(values["loss"])
        return values

    cached = [_encode_without_activations(engine, part, step, i) for i, part in enumerate(parts) if i]
    torch.manual_seed(step.seed)
    features = concatenate([engine.forward(parts[0], step, only_encode=True), *cached])
    torch.manual_seed(step.seed)
    values = engine.forward(concatenate(parts), step, features=features)
    engine.backward(values["loss"], last=False)

    for i, leaves in enumerate(cached, start=1):
        torch.manual_seed(step.seed + i)
        gradients = _unscaled_gradients(leaves, engine.loss_scale())
        surrogate = engine.forward(parts[i], step, gradients=gradients)
        engine.backward(surrogate["loss"], last=i == len(cached))
    return values


def concatenate(parts: Sequence[RowsOf]) -> RowsOf:
    """Concatenate the rows of several dataclasses; shorter axes are padded with zeros, which masks leave out.

    A flag is one that holds for every row.
    """
    merged: dict[str, Any] = {}
    for field in fields(parts[0]):
        columns = [getattr(part, field.name) for part in parts]
        if isinstance(columns[0], Tensor):
            shape = [max(sizes) for sizes in zip(*(column.shape[1:] for column in columns), strict=True)]
            merged[field.name] = torch.cat([_padded(column, shape) for column in columns])
        elif isinstance(columns[0], bool):  # what holds for all rows
            merged[field.name] = all(columns)
        else:
            merged[field.name] = [row for column in columns for row in column]
    return replace(parts[0], **merged)


# Any: the engine does not know the type of its task's features.
def _encode_without_activations(engine: Engine, part: Batch, step: StepContext, number: int) -> Any:
    """Encode part `number` without activations; return its features as leaf tensors that collect gradients."""
    torch.manual_seed(step.seed + number)
    with torch.no_grad():
        features = engine.forward(part, step, only_encode=True)
    return replace(
        features,
        **{name: value.detach().requires_grad_() for name, value in _floating_fields(features).items()},
    )


def _unscaled_gradients(leaves: Rows, scale: float) -> dict[str, Tensor]:
    """Return the gradients of the leaves in fp32, divided by the loss scale.

    The next backward pass multiplies by the loss scale again. A leaf without a gradient (no objective used it) gets
    zeros, so that every rank runs the same backward passes.
    """
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad.float() / scale
        for name, value in _floating_fields(leaves).items()
    }


def _floating_fields(rows: Rows) -> dict[str, Tensor]:
    """Return field's name → tensor for the floating-point fields, which may have a gradient."""
    return {
        field.name: value
        for field in fields(rows)
        if isinstance(value := getattr(rows, field.name), Tensor) and value.is_floating_point()
    }


def _padded(column: Tensor, shape: list[int]) -> Tensor:
    """Pad a tensor [B, ...] with zeros at the end of its other axes, up to [B, *shape]."""
    padding = [(0, target - size) for size, target in zip(column.shape[1:], shape, strict=True)]
    return F.pad(column, [side for pair in reversed(padding) for side in pair]) if padding else column
