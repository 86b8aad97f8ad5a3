"""Encoding and losses in two halves give the gradients of one forward pass."""

from dataclasses import replace

import torch
from small_tasks import at_step, module, recipe, six_pairs

from pretrain.tasks.task import Task, inner_product


def test_features_and_their_gradients_carry_the_loss_into_the_towers():
    config = recipe({"contrastive": {}, "late_interaction": {}})
    whole, halves = module(config).eval(), module(config).eval()
    batch = six_pairs()
    loss = whole(batch, at_step(0))["loss"]
    loss.backward()

    encoded = halves(batch, at_step(0), only_encode=True)
    names = ("images", "patches", "texts", "words")
    leaves = {name: getattr(encoded, name).detach().requires_grad_() for name in names}
    values = halves(batch, at_step(0), features=replace(encoded, **leaves))
    assert values["loss"].item() == loss.item()
    values["loss"].backward()
    gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    halves(batch, at_step(0), gradients=gradients)["loss"].backward()
    for parameter, other in zip(whole.parameters(), halves.parameters(), strict=True):
        if parameter.grad is not None:
            torch.testing.assert_close(other.grad, parameter.grad, atol=2e-5, rtol=1e-4)


def test_the_inner_product_sums_over_the_named_fields():
    features = module(recipe({"contrastive": {}})).eval().encode(six_pairs())
    gradients = {"images": torch.ones_like(features.images), "texts": 2 * torch.ones_like(features.texts)}
    expected = features.images.sum() + 2 * features.texts.sum()
    torch.testing.assert_close(inner_product(features, gradients), expected)


def test_a_part_is_the_first_component_of_a_name_and_none_is_required():
    assert [Task.part_of(name) for name in ("tower.layers.0.weight", "scale")] == ["tower", "scale"]
    assert Task.required_parts == ()
