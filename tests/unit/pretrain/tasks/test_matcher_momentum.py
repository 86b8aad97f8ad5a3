"""A matcher that learns against a momentum encoder: the encoder follows, the queue fills, a restored run goes on."""

import copy

import pytest
import torch
from pydantic import ValidationError
from small_tasks import at_step
from tiny_matcher import eight_pairs, matcher_recipe, matcher_task

MOMENTUM = {"rate": 0.9, "queue": 12, "soft": 0.4, "warmup_steps": 2}


def steps(task, numbers) -> list[float]:
    optimizer = torch.optim.SGD(task.parameters(), lr=0.05)
    losses = []
    for step in numbers:
        values = task(eight_pairs(), at_step(step))
        values["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(values["itc_loss"].detach()))
    return losses


def test_it_follows_and_fills_its_queue_and_only_in_training():
    task = matcher_task(matcher_recipe(momentum=MOMENTUM))
    before = task.momentum.get_buffer("of_vision_proj_weight").clone()
    steps(task, range(2))
    assert not torch.equal(task.momentum.get_buffer("of_vision_proj_weight"), before)
    assert float(task.momentum.filled) == 12
    state = copy.deepcopy(task.momentum.state_dict())
    task.eval()
    with torch.no_grad():
        task(eight_pairs(), at_step(9))
    assert all(torch.equal(value, state[name]) for name, value in task.momentum.state_dict().items())


def test_a_restored_run_goes_on_as_it_was():
    task = matcher_task(matcher_recipe(momentum=MOMENTUM))
    steps(task, range(3))
    again = matcher_task(matcher_recipe(momentum=MOMENTUM))
    again.load_state_dict(task.state_dict())
    assert steps(again, range(3, 5)) == steps(task, range(3, 5))


def test_weights_that_no_worker_has_whole_cannot_be_followed():
    with pytest.raises(ValidationError, match=r"zero_stage is 3 with a momentum encoder"):
        matcher_recipe(momentum=MOMENTUM, engine={"zero_stage": 3})
