import pytest
import torch
from torch import nn

from pretrain.models.running_statistics import InteractionScale


def test_scale_is_the_root_mean_square_with_forgetting():
    torch.manual_seed(0)
    scale = InteractionScale(momentum=0.9)
    assert scale() == 1
    weighted = weights = 0.0
    for _ in range(7):
        values, real = torch.randn(3, 4), torch.rand(3, 4) < 0.7
        scale.update(values.masked_fill(~real, float("nan")), real)
        mean = sum(v**2 for v in values[real].tolist()) / int(real.sum())
        weighted, weights = 0.9 * weighted + 0.1 * mean, 0.9 * weights + 0.1
    assert scale().item() == pytest.approx((weighted / weights) ** 0.5, rel=1e-5)


def test_a_step_without_real_interactions_changes_nothing():
    scale = InteractionScale()
    scale.update(torch.full((2,), 3.0), torch.tensor([True, True]))
    before = scale().clone()
    scale.update(torch.full((2,), 9.0), torch.tensor([False, False]))
    assert torch.equal(scale(), before)
    assert before.item() == pytest.approx(3.0)


def test_interactions_that_are_all_zero_give_a_finite_unit():
    scale = InteractionScale()
    scale.update(torch.zeros(4), torch.ones(4, dtype=torch.bool))
    assert 0 < scale().item() < 1e-6


def test_state_survives_checkpoints_and_low_precision():
    model = nn.Sequential(nn.Linear(2, 2), InteractionScale())
    model[1].update(torch.tensor([0.1234567]), torch.tensor([True]))
    before = model[1]().clone()
    model.half()
    assert model[0].weight.dtype == torch.float16
    assert torch.equal(model[1](), before)
    other = nn.Sequential(nn.Linear(2, 2), InteractionScale())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other[1](), before)
