"""Referee: eq. 12 in plain loops, and its minimum worked out by hand."""

import pytest
import torch

from pretrain.objectives.unsil import unsil_loss


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 2)])
def test_equals_the_loops(shape):
    torch.manual_seed(0)
    predicted, targets = torch.randn(shape).requires_grad_(), torch.randn(shape)
    sigma = torch.rand(shape).clamp(0.01).requires_grad_()
    sampled = torch.rand(shape) < 0.5
    sampled[2] = False
    total = 0.0
    for b in range(4):
        terms = [
            (p - t) ** 2 / s + 0.3 * s
            for p, t, s, real in zip(
                *(x[b].flatten().tolist() for x in (predicted, targets, sigma, sampled)), strict=True
            )
            if real
        ]
        total += sum(terms) / len(terms) / 4 if terms else 0.0
    result = unsil_loss(predicted, sigma, targets, sampled, beta=0.3)
    assert result["unsil_loss"].item() == pytest.approx(total, rel=1e-5)
    result["unsil_loss"].backward()
    assert (predicted.grad[~sampled] == 0).all()
    assert (sigma.grad[~sampled] == 0).all()


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
def test_uncertainty_settles_at_the_error_over_the_root_of_beta(beta):
    error = 0.2
    logit = torch.zeros(1, 1, requires_grad=True)
    optimiser = torch.optim.Adam([logit], lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        loss = unsil_loss(
            torch.full((1, 1), error), logit.sigmoid(), torch.zeros(1, 1), torch.ones(1, 1).bool(), beta=beta
        )["unsil_loss"]
        loss.backward()
        optimiser.step()
    assert logit.sigmoid().item() == pytest.approx(error / beta**0.5, rel=1e-2)


def test_what_was_not_sampled_may_hold_anything():
    sampled = torch.tensor([[True, False]])
    predicted = torch.tensor([[1.0, float("nan")]], requires_grad=True)
    sigma = torch.tensor([[0.5, 0.0]], requires_grad=True)
    loss = unsil_loss(predicted, sigma, torch.tensor([[2.0, float("inf")]]), sampled, beta=1.0)["unsil_loss"]
    loss.backward()
    assert loss.item() == pytest.approx(2.5)
    assert predicted.grad.tolist() == [[-4.0, 0.0]]
    assert sigma.grad[0, 1] == 0
