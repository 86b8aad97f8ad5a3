"""One optimiser step's gradients from several micro-batches, equal to those of the whole batch.

A contrastive loss does not split over micro-batches: every pair is a negative of every other. GradCache (Gao et al.
2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup") splits the towers instead. All
micro-batches but the first are encoded without activations; the loss over all features flows back to the heads, into
the first micro-batch, and to the cached features; then each cached micro-batch is encoded once more under its own
random seed, now to send its features' gradient on into the towers. N micro-batches cost 2N - 1 encodings; memory is
one micro-batch's activations and everybody's features.
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
    """Leave in the engine the gradients of the loss over all `parts` of this rank; returns its losses and metrics.

    The step's seed decides all dropout: part i is encoded under seed + i, both times. Suppliers draw from the step's
    generator.
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
        carried = engine.forward(parts[i], step, gradients=gradients)
        engine.backward(carried["loss"], last=i == len(cached))
    return values


def concatenate(parts: Sequence[RowsOf]) -> RowsOf:
    """The rows of several dataclasses as one; other axes are padded with zeros to the longest (masked there)."""
    merged: dict[str, Any] = {}
    for field in fields(parts[0]):
        columns = [getattr(part, field.name) for part in parts]
        if isinstance(columns[0], Tensor):
            shape = [max(sizes) for sizes in zip(*(column.shape[1:] for column in columns), strict=True)]
            merged[field.name] = torch.cat([_grown(column, shape) for column in columns])
        else:
            merged[field.name] = [row for column in columns for row in column]
    return replace(parts[0], **merged)


# Any: the features of the engine's task.
def _encode_without_activations(engine: Engine, part: Batch, step: StepContext, number: int) -> Any:
    """The features of part `number` as leaves that collect gradients."""
    torch.manual_seed(step.seed + number)
    with torch.no_grad():
        features = engine.forward(part, step, only_encode=True)
    return replace(
        features,
        **{name: value.detach().requires_grad_() for name, value in _floating_fields(features).items()},
    )


def _unscaled_gradients(leaves: Rows, scale: float) -> dict[str, Tensor]:
    """Gradients that reached the leaves, in fp32, without the loss scale (which the next backward multiplies again).

    They are zero where none came (an objective read other pairs): every rank then runs the same backward passes.
    """
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad.float() / scale
        for name, value in _floating_fields(leaves).items()
    }


def _floating_fields(rows: Rows) -> dict[str, Tensor]:
    """Field's name → its tensor, for the fields that may have a gradient."""
    return {
        field.name: value
        for field in fields(rows)
        if isinstance(value := getattr(rows, field.name), Tensor) and value.is_floating_point()
    }


def _grown(column: Tensor, shape: list[int]) -> Tensor:
    missing = [(0, to - now) for now, to in zip(column.shape[1:], shape, strict=True)]
    return F.pad(column, [side for pair in reversed(missing) for side in pair]) if missing else column
