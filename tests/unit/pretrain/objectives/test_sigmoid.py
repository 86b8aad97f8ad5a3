"""Referee: the double sum of SigLIP's definition."""

import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.sigmoid import sigmoid_loss


def inputs(count=7, dim=5):
    torch.manual_seed(1)
    x, y = (F.normalize(torch.randn(count, dim), dim=-1) for _ in range(2))
    return [t.requires_grad_() for t in (x, y, torch.tensor([math.log(10.0)]), torch.tensor([-10.0]))]


@pytest.mark.parametrize("chunk", [1, 3, 4096])
def test_equals_the_double_sum_with_its_gradients(chunk):
    ours, loops = inputs(), inputs()
    result = sigmoid_loss(*ours, chunk=chunk)
    x, y, log_scale, bias = loops
    total = 0.0
    for i in range(7):
        for j in range(7):
            sign = 1.0 if i == j else -1.0
            logit = sign * (log_scale.exp()[0] * (x[i] @ y[j]) + bias[0])
            total = total + torch.log1p(torch.exp(-logit)) / 7
    result["sigmoid_loss"].backward()
    total.backward()
    torch.testing.assert_close(result["sigmoid_loss"], total)
    for a, b in zip(ours, loops, strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    best = (x @ y.T).argmax(1)
    assert result["sigmoid_accuracy"].item() == pytest.approx((best == torch.arange(7)).float().mean().item())


def test_large_logits_stay_finite():
    x = F.normalize(torch.randn(4, 3), dim=-1)
    loss = sigmoid_loss(x, -x, torch.tensor([math.log(1e4)]), torch.zeros(1), chunk=4096)["sigmoid_loss"]
    assert torch.isfinite(loss)
    assert loss > 1e4 - 1
