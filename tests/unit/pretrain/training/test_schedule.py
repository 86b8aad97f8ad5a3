"""OneCycle against torch's own scheduler."""

import pytest
import torch

from pretrain.config import OptimizerConfig
from pretrain.training.schedule import one_cycle


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (100, 0.1), (333, 0.25)])
def test_equals_torchs_one_cycle(total, warmup):
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
        rate, momentum = one_cycle(step, total, config)
        assert rate == pytest.approx(group["lr"], rel=1e-9)
        assert momentum == pytest.approx(group["betas"][0], rel=1e-9)
        optimizer.step()
        if step < total - 1:
            referee.step()
