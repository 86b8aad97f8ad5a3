"""OneCycle against torch's own scheduler."""

import pytest
import torch

from pretrain.config import OptimizerConfig
from pretrain.training.schedule import rate_and_moment


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (100, 0.1), (333, 0.25)])
def test_equals_torchs_rate_and_moment(total, warmup):
    config = OptimizerConfig(learning_rate=3e-3, warmup_fraction=warmup, start_divisor=20, final_divisor=500)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], betas=config.betas)
    referee = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=3e-3,
        total_steps=total,
        pct_start=warmup,
        div_factor=20,
        final_div_factor=500,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    for step in range(total):
        group = optimizer.param_groups[0]
        rate, momentum = rate_and_moment(step, total, config)
        assert rate == pytest.approx(group["lr"], rel=1e-9)
        assert momentum == pytest.approx(group["betas"][0], rel=1e-9)
        optimizer.step()
        if step < total - 1:
            referee.step()


def test_with_a_decay_fraction_the_rate_stays_at_its_peak_until_then():
    config = OptimizerConfig(learning_rate=1e-3, warmup_fraction=0.1, decay_fraction=0.2)
    rates, moments = zip(*(rate_and_moment(step, 200, config) for step in range(200)), strict=True)
    whole = [
        rate_and_moment(step, 200, OptimizerConfig(learning_rate=1e-3, warmup_fraction=0.1))
        for step in range(20)
    ]
    assert list(zip(rates, moments, strict=True))[:20] == whole
    assert set(rates[19:160]) == {1e-3}
    assert set(moments[19:160]) == {0.85}
    assert list(rates[159:]) == sorted(rates[159:], reverse=True)
    assert rates[-1] == pytest.approx(1e-3 / 25 / 1e4)
    assert moments[-1] == pytest.approx(0.95)


def test_rise_and_fall_fit_into_the_steps():
    with pytest.raises(ValueError, match=r"decay_fraction is 0\.5 and warmup_fraction 0\.6"):
        OptimizerConfig(warmup_fraction=0.6, decay_fraction=0.5)
