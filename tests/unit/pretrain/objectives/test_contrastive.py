"""InfoNCE against a loop over rows."""

import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.contrastive import contrastive_loss


def test_equals_a_loop_over_rows():
    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(5, 4, generator=generator), dim=-1)
    texts = F.normalize(torch.randn(5, 4, generator=generator), dim=-1)
    scale = torch.tensor([math.log(9.0)])
    total = 0.0
    for i in range(5):
        rows = [9.0 * float(images[i] @ texts[j]) for j in range(5)]
        columns = [9.0 * float(images[j] @ texts[i]) for j in range(5)]
        for scores in (rows, columns):
            total -= scores[i] - math.log(sum(math.exp(score) for score in scores))
    losses = contrastive_loss(images, texts, scale)
    assert losses["contrastive_loss"].item() == pytest.approx(total / 10, rel=1e-5)


def test_accuracy_counts_both_directions():
    images = torch.eye(4)
    texts = torch.eye(4)[[0, 1, 3, 2]]
    losses = contrastive_loss(images, texts, torch.zeros(1))
    assert losses["contrastive_accuracy"].item() == pytest.approx(0.5)
