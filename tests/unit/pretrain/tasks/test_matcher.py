"""The task matcher: it learns, accumulates exactly, weighs its losses, and finds the first token."""

import math

import pytest
import torch
from tiny_matcher import MODEL, PAIRS, eight_pairs, matcher_recipe, matcher_task, tiny_blip
from torch.nn import functional as F

from data_filters.errors import InputError
from data_filters.matching import matching_scores
from pretrain.step_context import StepContext
from pretrain.tasks.matcher import first_token_id
from pretrain.training.accumulation import accumulate_gradients
from pretrain.training.engines.plain import PlainEngine


def test_a_few_steps_on_the_same_pairs_lower_both_losses_and_tell_pairs_from_others():
    task = matcher_task(matcher_recipe())
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-2)
    seen = []
    for step in range(60):
        values = task(eight_pairs(), StepContext.of(0, step, 0))
        values["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({key: float(value.detach()) for key, value in values.items()})
    for name in ("itc_loss", "itm_loss"):
        assert sum(row[name] for row in seen[-10:]) < 0.7 * sum(row[name] for row in seen[:10]), name
    assert seen[-1]["itm_accuracy"] > 0.9
    assert all(row["itm_negatives"] == 1 for row in seen)
    batch = eight_pairs()
    other = torch.tensor([1, 0, 4, 6, 2, 7, 3, 5])
    with torch.no_grad():
        _, own = matching_scores(
            task.matcher.eval(), batch.pixel_values, batch.input_ids, batch.attention_mask
        )
        _, wrong = matching_scores(
            task.matcher, batch.pixel_values, batch.input_ids[other], batch.attention_mask[other]
        )
    assert own.mean() > wrong.mean() + 0.3


def test_the_contrastive_loss_is_the_cross_entropy_of_the_similarities_both_ways():
    task = matcher_task(matcher_recipe(objectives={"itc": {"weight": 2}, "itm": {"weight": 0}}))
    batch = eight_pairs()
    values = task(batch, StepContext.of(0, 0, 0))
    stock = task.matcher(
        pixel_values=batch.pixel_values,
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        use_itm_head=False,
    )[0]
    rows = torch.arange(PAIRS)
    logits = stock / 0.07
    expected = (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2
    assert values["itc_loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert values["loss"].item() == pytest.approx(2 * expected.item(), rel=1e-4)
    assert "itm_loss" not in values


def test_the_loss_is_the_weighted_sum():
    task = matcher_task(matcher_recipe(objectives={"itc": {"weight": 0.25}, "itm": {"weight": 3}}))
    values = task(eight_pairs(), StepContext.of(0, 0, 0))
    expected = 0.25 * values["itc_loss"] + 3 * values["itm_loss"]
    assert values["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("count", [2, 4])
def test_micro_batches_give_the_gradients_of_the_whole_batch(count):
    config = matcher_recipe()
    whole, split = (PlainEngine(matcher_task(config), config, torch.device("cpu")) for _ in range(2))
    size = PAIRS // count
    parts = [eight_pairs(slice(start, start + size)) for start in range(0, PAIRS, size)]
    expected = accumulate_gradients(whole, [eight_pairs()], StepContext.of(0, 2, 0))
    values = accumulate_gradients(split, parts, StepContext.of(0, 2, 0))
    assert values["itm_loss"].item() == pytest.approx(expected["itm_loss"].item(), rel=1e-5)
    for (name, weights), other in zip(
        whole.module.named_parameters(), split.module.parameters(), strict=True
    ):
        assert weights.grad is not None, name
        torch.testing.assert_close(other.grad, weights.grad, atol=2e-5, rtol=1e-4, msg=name)


def test_recomputed_activations_change_no_gradient():
    gradients = []
    for recomputed in (False, True):
        engine = {"precision": "fp32", "activation_checkpointing": recomputed}
        task = matcher_task(matcher_recipe(engine=engine))
        task(eight_pairs(), StepContext.of(0, 0, 0))["loss"].backward()
        gradients.append([weights.grad for weights in task.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_every_parameter_is_in_one_group_and_vectors_do_not_decay():
    task = matcher_task(matcher_recipe())
    names = {id(weights): name for name, weights in task.named_parameters()}
    groups = {group.weight_decay: group.parameters for group in task.parameter_groups(0.1)}
    kept = {names[id(weights)] for weights in groups[0.0]}
    decayed = {names[id(weights)] for weights in groups[0.1]}
    assert kept | decayed == set(names.values())
    assert not kept & decayed
    assert {"logit_scale", "matcher.itm_head.bias", "matcher.vision_model.embeddings.class_embedding"} <= kept
    assert {"matcher.itm_head.weight", "matcher.vision_proj.weight"} <= decayed
    assert task.parameter_limits() == {"logit_scale": pytest.approx(math.log(100))}


def test_the_first_token_is_found_in_the_tokenizer(tmp_path):
    folder = tiny_blip(tmp_path / "blip")

    def number(token: str) -> int | None:
        model = MODEL | {"first_token": token}
        return first_token_id(matcher_recipe(model=model, tokenizer=folder))

    assert number("[CLS]") is None
    assert number("[ENC]") == 5
    with pytest.raises(InputError, match=r"model.first_token is '\[DEC\]', which tokenizer .* does not know"):
        number("[DEC]")


def test_the_first_token_replaces_that_of_captions_which_attend_to_the_image():
    batch, step = eight_pairs(), StepContext.of(0, 0, 0)
    task = matcher_task(matcher_recipe())
    plain = task(batch, step)
    task.first_token_id = 4
    other = task(batch, step)
    assert other["itc_loss"].item() == plain["itc_loss"].item()
    assert other["itm_loss"].item() != plain["itm_loss"].item()
    task.first_token_id = None
    batch.input_ids[:, 0] = 4
    assert task(batch, step)["itm_loss"].item() != plain["itm_loss"].item()


def test_a_higher_temperature_of_the_draws_changes_itm_alone():
    itm = {"itm": {"weight": 1.0, "temperature": 50.0}}
    cool, warm = (matcher_task(matcher_recipe(**sections)) for sections in ({}, {"objectives": itm}))
    batch = eight_pairs()
    with torch.no_grad():
        one, other = (task(batch, StepContext.of(0, 0, 0)) for task in (cool, warm))
    assert float(one["itc_loss"]) == float(other["itc_loss"])
    assert float(one["itm_loss"]) != float(other["itm_loss"])
