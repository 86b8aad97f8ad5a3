"""Parameter groups reach torch's optimiser, and a step's schedule reaches every group by its rate."""

import torch
from small_tasks import module, recipe

from pretrain.config import OptimizerConfig
from pretrain.tasks.task import ParameterGroup
from pretrain.training.engine import COMPUTE_TYPES, build_optimizer, optimizer_groups, set_schedule


def test_groups_carry_their_decay_and_rate_through_the_schedule():
    towers, heads = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    groups = [ParameterGroup([towers], 0.1, 1.0), ParameterGroup([heads], 0.0, 5.0)]
    optimizer = torch.optim.AdamW(optimizer_groups(groups), lr=1.0, betas=(0.9, 0.99))
    set_schedule(optimizer.param_groups, 0.01, 0.86)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.05]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.86, 0.99)] * 2
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    towers.grad, heads.grad = torch.ones(2), torch.ones(2)
    optimizer.step()
    # Adam's first step is the learning rate in the direction of the gradient; decay is decoupled.
    torch.testing.assert_close(towers.detach(), torch.full((2,), 1 - 0.01 * 0.1 - 0.01), atol=1e-6, rtol=0)
    torch.testing.assert_close(heads.detach(), torch.full((2,), 1 - 0.05), atol=1e-6, rtol=0)


def test_the_optimiser_has_the_settings_of_the_recipe_and_every_parameter():
    task = module(recipe({"contrastive": {}}))
    config = OptimizerConfig(learning_rate=0.3, betas=(0.8, 0.95), weight_decay=0.2, head_rate=4.0)
    optimizer = build_optimizer(task, config, fused=False)
    assert {(group["lr"], group["betas"], group["fused"]) for group in optimizer.param_groups} == {
        (0.3, (0.8, 0.95), False)
    }
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.2}
    optimised = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in optimised} == {id(parameter) for parameter in task.parameters()}


def test_precisions_are_numbers_of_32_16_and_16_bits():
    assert {name: torch.finfo(kind).bits for name, kind in COMPUTE_TYPES.items()} == {
        "fp32": 32,
        "bf16": 16,
        "fp16": 16,
    }
