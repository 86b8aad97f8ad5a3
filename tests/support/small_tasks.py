"""A tiny dual encoder task and a batch for it, for tests of objectives, suppliers and tasks."""

from __future__ import annotations

from typing import Any

import torch

from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.supervision import SUPPLIERS
from pretrain.supervision.supplier import Supplied, SupplierInputs
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

VOCABULARY, PAIRS, CELLS = 60, 6, 16


def recipe(objectives: dict[str, Any], **supervision: Any) -> DualEncoderConfig:
    """A recipe with 4×4 cells and these objectives; `supervision` in place of its small settings."""
    settings = {
        "regions": 4,
        "head_width": 16,
        "budget": 3,
        "evaluations": 12,
        "warmup_steps": 0,
    } | supervision
    return DualEncoderConfig.model_validate(
        {
            "model": {
                "projection_dim": 16,
                "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
                "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 12},
            },
            "objectives": objectives,
            "supervision": settings,
            "data": {"batch_size": PAIRS},
        }
    )


def module(config: DualEncoderConfig) -> DualEncoderTask:
    """The task of a recipe, always with the same weights."""
    torch.manual_seed(0)
    return DualEncoderTask(config, VOCABULARY)


def six_pairs() -> Batch:
    """Six pairs with up to two phrases; the third caption has none."""
    generator = torch.Generator().manual_seed(5)
    phrases = torch.zeros(PAIRS, 3, 9, dtype=torch.bool)
    phrases[:, 0, 1:3] = True
    phrases[:, 1, 4] = True
    phrases[2] = False
    return Batch(
        keys=[str(row) for row in range(PAIRS)],
        pixel_values=torch.randn(PAIRS, 3, 32, 32, generator=generator),
        input_ids=torch.randint(5, VOCABULARY, (PAIRS, 9), generator=generator),
        attention_mask=torch.ones(PAIRS, 9, dtype=torch.long),
        phrase_tokens=phrases,
        phrase_mask=phrases.any(-1),
    )


def at_step(step: int, seed: int | None = None) -> StepContext:
    """The context of a step; its stream is seeded by the step's number unless `seed` is given."""
    return StepContext(step, torch.Generator().manual_seed(step if seed is None else seed))


def supplied(model: DualEncoderTask, supplier: str, batch: Batch, step: StepContext) -> Supplied:
    """What one supplier of a task answers, with the stream that the task gives it."""
    inputs = SupplierInputs(model.dual_encoder, model.region_generator, model.encode(batch), batch)
    return model.suppliers[supplier](inputs, step.branch(list(SUPPLIERS).index(supplier)))


def value_without(model: DualEncoderTask, batch: Batch, row: int, keep: torch.Tensor) -> float:
    """v1 of one pair with its cells multiplied by `keep`."""
    with torch.no_grad():
        image, _ = model.dual_encoder.encode_image(batch.pixel_values[row : row + 1], keep[None])
        text, _ = model.dual_encoder.encode_text(
            batch.input_ids[row : row + 1], batch.attention_mask[row : row + 1]
        )
    return float((image * text).sum())


def train(model: DualEncoderTask, batch: Batch, steps: int) -> list[dict[str, float]]:
    """The values of each of so many AdamW steps on the same batch."""
    optimizer = torch.optim.AdamW(
        [weights for weights in model.parameters() if weights.requires_grad], lr=3e-3
    )
    seen = []
    for step in range(steps):
        torch.manual_seed(step)
        values = model(batch, at_step(step))
        values["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({key: float(value.detach()) for key, value in values.items()})
    return seen


def falls(seen: list[dict[str, float]], name: str, to: float) -> bool:
    """Whether a value's mean over the last 8 steps is below `to` times that over the first 8."""
    early, late = (sum(row[name] for row in part) / 8 for part in (seen[:8], seen[-8:]))
    return late < to * early
