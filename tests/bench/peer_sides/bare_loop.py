"""The bare loop: towers of loupe's classes, the loss and AdamW on batches in memory; no reader, no log, no checkpoint.

    python bare_loop.py RECIPE BATCHES.pt train STEPS [--stages FILE]
    python bare_loop.py RECIPE BATCHES.pt count

BATCHES.pt holds the pixels as numbers, the token ids and the masks of batches that loupe's reader made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__)
sys.path[:0] = [str(HERE.parents[3]), str(HERE.parent)]

from stage_clock import StageClock

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.models.towers import build_image_tower, build_text_tower
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

Batch = tuple[Tensor, Tensor, Tensor]


class TwoTowers(nn.Module):
    """A ViT and a BERT, each with a projection, and the temperature: what the loss needs, and nothing else."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        model = config.model
        self.vision = build_image_tower(model.image)
        self.text = build_text_tower(model.text, len(load_tokenizer(config.tokenizer)))
        self.of_image = nn.Linear(model.image.width, model.projection_dim, bias=False)
        self.of_text = nn.Linear(model.text.width, model.projection_dim, bias=False)
        self.scale = nn.Parameter(torch.tensor(1 / model.temperature).log())

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-length embeddings of the images and of the texts."""
        images = self.of_image(self.vision(pixel_values=pixels).pooler_output)
        texts = self.of_text(self.text(input_ids=ids, attention_mask=mask).pooler_output)
        return F.normalize(images, dim=-1), F.normalize(texts, dim=-1)

    def loss(self, images: Tensor, texts: Tensor) -> Tensor:
        """Cross entropy over the batch, in both directions."""
        logits = self.scale.exp() * images @ texts.T
        own = torch.arange(len(logits))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def train(
    towers: TwoTowers, batches: list[Batch], steps: int, rate: float, clock: StageClock | None
) -> float:
    """The loss after `steps` steps over the batches, again and again."""
    optimizer = torch.optim.AdamW(towers.parameters(), lr=rate, weight_decay=0.01)

    def watched(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return clock.clocked(stage, function) if clock else function

    forward, score = watched("forward", towers.forward), watched("loss", towers.loss)
    backward, update = watched("backward", Tensor.backward), watched("optimiser", optimizer.step)
    for step in range(steps):
        optimizer.zero_grad()
        loss = score(*forward(*batches[step % len(batches)]))
        backward(loss)
        update()
    return float(loss)


def count(towers: TwoTowers, batches: list[Batch]) -> dict[str, float]:
    """Parameters, and FLOPs a pair of a forward and a backward pass, mean over the batches."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as flops:
        for batch in batches:
            towers.loss(*towers(*batch)).backward()
    return {
        "parameters": sum(each.numel() for each in towers.parameters()),
        "flops_a_pair": flops.get_total_flops() / sum(len(pixels) for pixels, _, _ in batches),
    }


def main() -> None:
    recipe, file, verb, *rest = sys.argv[1:]
    config = load_recipe(DualEncoderConfig, PRETRAINING, recipe, [])
    torch.manual_seed(config.seed)
    towers, batches = TwoTowers(config).train(), torch.load(file)
    if verb == "count":
        print(json.dumps(count(towers, batches)))
        return
    clock = StageClock() if "--stages" in rest else None
    loss = train(towers, batches, int(rest[0]), config.optimizer.learning_rate, clock)
    print(json.dumps({"loss": loss}))
    if clock:
        Path(rest[-1]).write_text(json.dumps(clock.milliseconds(config.data.batch_size)))


if __name__ == "__main__":
    main()
