"""A tiny matcher's task and batches for it."""

from __future__ import annotations

from typing import Any

import torch

from pretrain.data.samples.batch import Batch
from pretrain.tasks.matcher import MatcherTask
from pretrain.tasks.matcher_config import MatcherConfig


def matcher_recipe(pairs: int = 8, **sections: Any) -> MatcherConfig:
    """A recipe for 32 px and captions of up to 12 tokens."""
    model = {
        "projection_dim": 16,
        "image": {"image_size": 32, "patch_size": 16, "width": 16, "layers": 1, "heads": 2},
        "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 12, "dropout": 0.0},
    }
    values = {"task": "matcher", "model": model, "data": {"batch_size": pairs}, **sections}
    return MatcherConfig.model_validate(values)


def matcher_task(**sections: Any) -> MatcherTask:
    """The task of such a recipe, always with the same weights."""
    torch.manual_seed(0)
    return MatcherTask.build(matcher_recipe(**sections), 8000)


def a_batch(pairs: int, seed: int = 0) -> Batch:
    """Random images and captions of 9 tokens."""
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        keys=[f"{seed}-{row}" for row in range(pairs)],
        pixel_values=torch.randn(pairs, 3, 32, 32, generator=generator),
        input_ids=torch.randint(5, 8000, (pairs, 9), generator=generator),
        attention_mask=torch.ones(pairs, 9, dtype=torch.long),
    )
