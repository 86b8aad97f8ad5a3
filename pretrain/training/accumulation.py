"""One optimiser step's gradients from several micro-batches, equal to those of the whole batch.

A contrastive loss does not split over micro-batches: every pair is a negative of every other. GradCache (Gao et al.
2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup") splits the towers instead. All
micro-batches but the first are encoded without activations; the loss over all features flows back to the heads, into
the first micro-batch, and to the cached features; then each cached micro-batch is encoded once more under its own
random seed, now to send its features' gradient on into the towers. N micro-batches cost 2N - 1 encodings; memory is
one micro-batch's activations and everybody's features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Rows = TypeVar("Rows")  # a dataclass of tensors [B, ...] and lists of B: Batch, Features


class Differentiating(Protocol):
    """What accumulation needs of an engine; `last` says that no more gradients come before the step."""

    def forward(self, batch: Any, **how: Any) -> Any: ...
    def backward(self, loss: Tensor, last: bool = True) -> None: ...
    def loss_scale(self) -> float: ...


def accumulate_gradients(engine: Differentiating, parts: Sequence[Any], seed: int) -> dict[str, Tensor]:
    """Leave in the engine the gradients of the loss over all `parts` of this rank together; returns all its values.

    `seed` decides all dropout: part i is encoded under seed + i, both times; objectives draw under `seed`.
    """
    if len(parts) == 1:
        torch.manual_seed(seed)
        values = engine.forward(parts[0])
        engine.backward(values["loss"])
        return values

    cached = [_encode_without_activations(engine, part, seed + i) for i, part in enumerate(parts) if i]
    torch.manual_seed(seed)
    features = concatenate([engine.forward(parts[0], only_encode=True), *cached])
    torch.manual_seed(seed)
    values = engine.forward(concatenate(parts), features=features)
    engine.backward(values["loss"], last=False)

    for i, leaves in enumerate(cached, start=1):
        torch.manual_seed(seed + i)
        reached = engine.forward(parts[i], gradients=_unscaled_gradients(leaves, engine.loss_scale()))
        engine.backward(reached["loss"], last=i == len(cached))
    return values


def inner_product(features: Any, gradients: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Σ⟨feature, gradient⟩ over the named fields: its gradient is what the chain rule carries on into the towers."""
    return torch.stack([(getattr(features, name).float() * g).sum() for name, g in gradients.items()]).sum()


def concatenate(parts: Sequence[Rows]) -> Rows:
    """The rows of several dataclasses as one; other axes grow with zeros to the longest (tokens are masked there)."""
    found: dict[str, Any] = {}
    for field in fields(parts[0]):  # type: ignore[arg-type]
        columns = [getattr(part, field.name) for part in parts]
        if isinstance(columns[0], Tensor):
            shape = [max(sizes) for sizes in zip(*(column.shape[1:] for column in columns), strict=True)]
            found[field.name] = torch.cat([_grown(column, shape) for column in columns])
        else:
            found[field.name] = [row for column in columns for row in column]
    return replace(parts[0], **found)  # type: ignore[type-var]


def _encode_without_activations(engine: Differentiating, part: Any, seed: int) -> Any:
    """The features of a part as leaves that collect gradients."""
    torch.manual_seed(seed)
    with torch.no_grad():
        features = engine.forward(part, only_encode=True)
    leaves = {
        field.name: value.detach().requires_grad_()
        for field in fields(features)
        if isinstance(value := getattr(features, field.name), Tensor) and value.is_floating_point()
    }
    return replace(features, **leaves)


def _unscaled_gradients(leaves: Any, scale: float) -> dict[str, Tensor]:
    """Gradients that reached the leaves, in fp32, without the loss scale (which the next backward brings again).

    Where none came (an objective looked at other pairs) they are zero: every rank then goes the same way back.
    """
    return {
        field.name: torch.zeros_like(value) if value.grad is None else value.grad.float() / scale
        for field in fields(leaves)
        if isinstance(value := getattr(leaves, field.name), Tensor) and value.requires_grad
    }


def _grown(column: Tensor, shape: list[int]) -> Tensor:
    missing = [(0, to - now) for now, to in zip(column.shape[1:], shape, strict=True)]
    return F.pad(column, [side for pair in reversed(missing) for side in pair]) if missing else column
