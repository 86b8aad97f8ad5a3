"""InfoNCE on channel-wise maxima against plain loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.max_pooled import max_pooled_loss

B, C, L, D = 5, 6, 4, 3


def tokens(seed: int, *shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def strongest(rows: list[list[float]]) -> list[float]:
    pooled = [max(row[d] for row in rows) for d in range(D)]
    length = math.sqrt(sum(value**2 for value in pooled))
    return [value / length for value in pooled]


def test_equals_loops_and_leaves_padding_out():
    patches, words = tokens(0, B, C, D), tokens(1, B, L, D)
    lengths = [4, 1, 3, 2, 4]
    mask = torch.tensor([[place < length for place in range(L)] for length in lengths])
    images = [strongest(item.tolist()) for item in patches]
    texts = [strongest(item[:length].tolist()) for item, length in zip(words, lengths, strict=True)]
    scores = [
        [9.0 * sum(a * b for a, b in zip(image, text, strict=True)) for text in texts] for image in images
    ]
    total = 0.0
    for i in range(B):
        for line in (scores[i], [scores[j][i] for j in range(B)]):
            total -= line[i] - math.log(sum(math.exp(value) for value in line))
    losses = max_pooled_loss(patches, words, mask, torch.tensor([math.log(9.0)]))
    assert losses["max_pooled_loss"].item() == pytest.approx(total / (2 * B), rel=1e-5)
    hits = sum(max(range(B), key=lambda j: scores[i][j]) == i for i in range(B))
    hits += sum(max(range(B), key=lambda j: scores[j][i]) == i for i in range(B))
    assert losses["max_pooled_accuracy"].item() == pytest.approx(hits / (2 * B))


def test_a_text_without_words_stays_finite():
    patches, words = tokens(2, B, C, D).requires_grad_(), tokens(3, B, L, D).requires_grad_()
    mask = torch.ones(B, L, dtype=torch.bool)
    mask[2] = False
    loss = max_pooled_loss(patches, words, mask, torch.zeros(1))["max_pooled_loss"]
    loss.backward()
    assert loss.isfinite()
    assert patches.grad.isfinite().all()
    assert words.grad.isfinite().all()
