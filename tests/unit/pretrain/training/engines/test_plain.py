"""The plain engine against torch's optimiser, and the checkpoints that it refuses."""

from __future__ import annotations

import pytest
import torch
from small_runs import STILL, small_recipe
from small_tasks import at_step, six_pairs

from data_filters.errors import InputError
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.training.engines.plain import PlainEngine

CPU = torch.device("cpu")


def task(config) -> DualEncoderTask:
    torch.manual_seed(0)
    return DualEncoderTask(config, 60)


def test_a_step_is_clipped_adamw_at_the_scheduled_rate():
    config = small_recipe({}, model=STILL, optimizer={"clip_norm": 0.1, "weight_decay": 0.2})
    engine, reference = PlainEngine(task(config), config, CPU), task(config)
    decayed = [p for p in reference.parameters() if p.ndim >= 2]
    optimizer = torch.optim.AdamW(reference.parameters(), lr=0.01, betas=(0.9, 0.999), weight_decay=0.0)
    loss = engine.forward(six_pairs(), at_step(0))["loss"]
    engine.backward(loss)
    norm = engine.step(0.01, 0.9)

    reference(six_pairs(), at_step(0))["loss"].backward()
    expected = torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.1)
    before = {id(p): p.detach().clone() for p in decayed}
    optimizer.step()
    assert norm.item() == pytest.approx(expected.item(), rel=1e-6)
    names = dict(reference.named_parameters())
    for name, parameter in engine.module.named_parameters():
        exempt = names[name].ndim < 2 or "bias_table" in name or "position_embeddings" in name
        decay = 0.0 if exempt else 0.01 * 0.2 * before[id(names[name])]
        torch.testing.assert_close(parameter, names[name] - decay, atol=1e-6, rtol=1e-5, msg=name)
    assert all(parameter.grad is None for parameter in engine.module.parameters())


def test_losses_are_not_scaled_in_fp32_and_limits_hold():
    config = small_recipe({}, model=STILL)
    engine = PlainEngine(task(config), config, CPU)
    assert engine.loss_scale() == 1.0
    engine.clamp_parameter("dual_encoder.logit_scale", 0.5)
    assert engine.module.dual_encoder.logit_scale.item() == 0.5
    engine.clamp_parameter("dual_encoder.logit_scale", 9.0)
    assert engine.module.dual_encoder.logit_scale.item() == 0.5


def test_weights_are_a_copy_and_a_foreign_checkpoint_is_refused(tmp_path):
    config = small_recipe({}, model=STILL)
    engine = PlainEngine(task(config), config, CPU)
    weights = engine.weights()
    assert weights.keys() == engine.module.state_dict().keys()
    weights["dual_encoder.logit_scale"].zero_()
    assert engine.module.dual_encoder.logit_scale.item() != 0
    with pytest.raises(InputError, match="written by 2 DeepSpeed workers; resume it without --local"):
        engine.load(tmp_path, 2)
