"""Referee: the hinges of VSE++ in plain loops."""

import pytest
import torch
from torch.nn import functional as F

from pretrain.objectives.hard_negative import hard_negative_loss


def inputs(count=6, dim=4, seed=3):
    torch.manual_seed(seed)
    return [F.normalize(torch.randn(count, dim), dim=-1).requires_grad_() for _ in range(2)]


@pytest.mark.parametrize(("negatives", "combine"), [("max", max), ("sum", sum)])
def test_equals_the_loops_with_gradients(negatives, combine):
    ours, (x, y) = inputs(), inputs()
    total, active, hinges = 0.0, 0, 0
    for i in range(6):
        pair_score = x[i] @ y[i]
        for terms in (
            [torch.clamp(0.2 - pair_score + x[i] @ y[j], min=0) for j in range(6) if j != i],
            [torch.clamp(0.2 - pair_score + x[j] @ y[i], min=0) for j in range(6) if j != i],
        ):
            total = total + combine(terms) / 6
            counted = [combine(terms)] if negatives == "max" else terms
            active += sum(float(t > 0) for t in counted)
            hinges += len(counted)
    result = hard_negative_loss(*ours, margin=0.2, negatives=negatives)
    result["hard_negative_loss"].backward()
    total.backward()
    torch.testing.assert_close(result["hard_negative_loss"], total)
    torch.testing.assert_close(ours[0].grad, x.grad)
    torch.testing.assert_close(ours[1].grad, y.grad)
    assert result["hard_negative_active"].item() == pytest.approx(active / hinges)


def test_the_loss_is_0_for_well_separated_pairs_and_not_for_swapped_ones():
    e = torch.eye(3)
    assert hard_negative_loss(e, e, margin=0.2, negatives="max")["hard_negative_loss"] == 0
    swapped = hard_negative_loss(e, e[[1, 0, 2]], margin=0.2, negatives="max")["hard_negative_loss"]
    # Two of the three pairs have score 0 and a hardest negative of 1: 1.2 per direction. The third has loss 0.
    assert swapped.item() == pytest.approx(2 * 2 * 1.2 / 3)


def test_a_single_pair_has_no_negative():
    e = torch.eye(3)[:1].requires_grad_()
    loss = hard_negative_loss(e, -e.detach(), margin=0.2, negatives="max")["hard_negative_loss"]
    loss.backward()
    assert loss == 0
    assert (e.grad == 0).all()
