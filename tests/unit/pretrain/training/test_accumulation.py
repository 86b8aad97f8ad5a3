"""Micro-batches give the gradients of the whole batch, and rows of several parts are concatenated."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from small_runs import STILL, small_recipe
from small_tasks import at_step, six_pairs

from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.training.accumulation import accumulate_gradients, concatenate
from pretrain.training.engines.plain import PlainEngine

VOCABULARY = 60


def engine() -> PlainEngine:
    config = small_recipe(
        {}, model=STILL, objectives={"contrastive": {}, "late_interaction": {}, "hard_negative": {}}
    )
    torch.manual_seed(0)
    return PlainEngine(DualEncoderTask(config, VOCABULARY), config, torch.device("cpu"))


def parts_of_six(count: int):
    batch = six_pairs()
    rows = [slice(start, start + 6 // count) for start in range(0, 6, 6 // count)]
    return [
        type(batch)(
            batch.keys[part],
            batch.pixel_values[part],
            batch.input_ids[part],
            batch.attention_mask[part],
            batch.phrase_tokens[part],
            batch.phrase_mask[part],
        )
        for part in rows
    ]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_gradients_of_the_parts_are_those_of_the_whole(count):
    whole, split = engine(), engine()
    expected = accumulate_gradients(whole, parts_of_six(1), at_step(0))
    values = accumulate_gradients(split, parts_of_six(count), at_step(0))
    assert values["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    for (name, parameter), other in zip(
        whole.module.named_parameters(), split.module.parameters(), strict=True
    ):
        if parameter.grad is None:
            assert other.grad is None or not other.grad.any(), name
        else:
            torch.testing.assert_close(other.grad, parameter.grad, atol=2e-5, rtol=1e-4)  # entries up to 30


def test_the_generator_of_the_step_and_dropout_follow_from_its_seed():
    config = small_recipe({}, objectives={"contrastive": {}})
    losses = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        dropping = PlainEngine(DualEncoderTask(config, VOCABULARY), config, torch.device("cpu"))
        torch.manual_seed(seed + 77)  # the earlier state of torch's global generator must not matter
        losses.append(accumulate_gradients(dropping, parts_of_six(2), at_step(0, seed))["loss"].item())
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@dataclass(frozen=True)
class Rows:
    names: list[str]
    tokens: torch.Tensor


@dataclass(frozen=True)
class Flagged:
    tokens: torch.Tensor
    whole: bool


def test_a_flag_of_joined_rows_is_one_that_all_have():
    yes, no = Flagged(torch.ones(1, 2), True), Flagged(torch.ones(2, 2), False)
    assert concatenate([yes, yes]).whole is True
    assert concatenate([yes, no]).whole is False
    assert concatenate([yes, no]).tokens.shape == (3, 2)


def test_rows_are_joined_and_short_axes_padded_with_zeros():
    joined = concatenate([Rows(["a"], torch.ones(1, 2)), Rows(["b", "c"], torch.full((2, 3), 2.0))])
    assert joined.names == ["a", "b", "c"]
    assert joined.tokens.tolist() == [[1, 1, 0], [2, 2, 2], [2, 2, 2]]
