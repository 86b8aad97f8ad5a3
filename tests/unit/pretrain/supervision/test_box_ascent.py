"""Box values against direct evaluation, their rise in training with frozen towers, and the loss made of them."""

from dataclasses import replace

import pytest
import torch
from small_tasks import PAIRS, at_step, module, recipe, six_pairs, supplied, train, value_without

from pretrain.data.samples.batch import Batch
from pretrain.models.max_pooling import max_pooled
from pretrain.models.region_generator import Regions
from pretrain.objectives.box_value import box_value_loss
from pretrain.regions.pixel_masks import box_pixels
from pretrain.shapley.games import between_specials
from pretrain.supervision.phrase_texts import drawn_phrases
from pretrain.supervision.phrases import phrases_alone
from pretrain.supervision.supplier import SupplierInputs

CLIMB = {"box_value": {"regions": 4}}


@pytest.fixture
def batch() -> Batch:
    return six_pairs()


def test_training_raises_box_values_with_frozen_towers(batch):
    model = module(recipe({"box_value": {"regions": PAIRS, "size_exponent": 0.0}}))
    model.dual_encoder.requires_grad_(False)
    model.eval()
    history = train(model, batch, 60)
    early, late = (sum(row["box_value"] for row in part) / 20 for part in (history[:20], history[-20:]))
    assert late > early
    assert all(weights.grad is None for weights in model.dual_encoder.parameters())


def test_the_loss_is_minus_the_value_over_the_size(batch):
    model = module(recipe(CLIMB)).eval()
    box_values = supplied(model, "box_ascent", batch, at_step(1)).targets
    loss = box_value_loss(box_values, size_exponent=0.5)["box_value_loss"]
    cells = box_values.soft_masks.detach().sum(-1).clamp(min=1)
    assert loss.item() == pytest.approx(-(box_values.values / cells**0.5).mean().item(), rel=1e-4)
    assert box_values.slopes.shape == (4, 16)
    assert box_values.slopes.abs().sum() > 0
    assert not box_values.slopes.requires_grad


def test_with_others_all_the_value_is_what_the_image_loses_without_the_box(batch):
    model = module(recipe({"box_value": {"regions": 4, "others": "all"}})).eval()
    box_values = supplied(model, "box_ascent", batch, at_step(1)).targets
    everything = torch.ones(16)
    for box in range(4):
        mask = box_values.soft_masks[box].detach()
        # The images are drawn at random: find the one whose value matches.
        values = [
            value_without(model, batch, row, everything) - value_without(model, batch, row, 1 - mask)
            for row in range(PAIRS)
        ]
        row = min(range(PAIRS), key=lambda r: abs(values[r] - float(box_values.values[box])))
        assert values[row] == pytest.approx(float(box_values.values[box]), abs=1e-5)
        cell, step = int((mask - 0.5).abs().argmin()), torch.zeros(16)
        step[cell] = 1e-3
        quotient = (
            value_without(model, batch, row, 1 - mask - step)
            - value_without(model, batch, row, 1 - mask + step)
        ) / -2e-3
        assert float(box_values.slopes[box, cell]) == pytest.approx(quotient, rel=0.05, abs=1e-3)


def test_no_cell_of_a_box_is_among_the_others(batch):
    model = module(recipe({"box_value": {"regions": PAIRS}})).eval()
    features = model.encode(batch)

    def whole_images(patches: torch.Tensor) -> Regions:
        return model.region_generator(patches)._replace(soft_masks=torch.ones(PAIRS, 4, 16))

    inputs = SupplierInputs(model.dual_encoder, whole_images, features, batch)
    box_values = model.suppliers["box_ascent"](inputs, at_step(0)).targets
    everything = torch.ones(16)
    values = [
        value_without(model, batch, row, everything) - value_without(model, batch, row, 0 * everything)
        for row in range(PAIRS)
    ]
    assert sorted(box_values.values.tolist()) == pytest.approx(sorted(values), abs=1e-5)


@pytest.mark.parametrize("text", ["embedding", "max_pooled"])
def test_the_box_of_a_phrases_best_cell_has_the_value_of_both_ends(text, batch):
    options = {"regions": PAIRS, "boxes": "phrase", "text": text, "size_exponent": 0.25}
    model = module(recipe({"box_value": options})).eval()
    encoder, step = model.dual_encoder, at_step(2)
    found = supplied(model, "box_ascent", batch, step).targets
    rows = torch.randperm(PAIRS, generator=at_step(2).branch(2).generator)
    drawn = drawn_phrases(batch, 1, step.shared_seed)[:, 0]
    size = tuple(batch.pixel_values.shape[-2:])
    for place, row in enumerate(rows.tolist()):
        if not found.real[place]:
            continue
        one = slice(row, row + 1)
        ids, mask = phrases_alone(
            batch.input_ids[one], batch.attention_mask[one], batch.phrase_tokens[one, drawn[row]][:, None], 12
        )
        pixels = batch.pixel_values[one]
        plain = pixels.flatten(2).median(-1).values[..., None, None]
        with torch.no_grad():
            phrase, words = encoder.encode_text(ids[:, 0], mask[:, 0])
            if text == "max_pooled":
                phrase = max_pooled(words, between_specials(mask[:, 0]))
            patches = encoder.encode_image(pixels)[1]
            boxes, _ = model.region_generator.every_cell(patches)
            best = int((patches[0] @ phrase[0]).argmax())

            def value(part, pixels=pixels, plain=plain, phrase=phrase):
                embedding, tokens = encoder.encode_image(plain + part * (pixels - plain))
                return float(((embedding if text == "embedding" else max_pooled(tokens)) * phrase).sum())

            part = box_pixels(boxes[:, best], size)
            nothing, whole = torch.zeros_like(part), torch.ones_like(part)
            expected = (value(part) - value(nothing) + value(whole) - value(1 - part)) / 2
            assert float(found.values[place]) == pytest.approx(expected, abs=1e-5)
            torch.testing.assert_close(found.soft_masks[place].detach(), part.flatten())
            nudge = torch.zeros_like(part)
            nudge[0, 10:14, 10:14] = 1e-2
            ahead, behind = (value(part + sign * nudge) - value(1 - part - sign * nudge) for sign in (1, -1))
            if (
                text == "embedding"
            ):  # a maximum has kinks, across which quotients of differences are no slopes
                slope = float((found.slopes[place] * nudge.flatten()).sum())
                assert slope == pytest.approx((ahead - behind) / 4, rel=0.05, abs=1e-5)
    assert found.slopes[found.real].abs().sum(-1).min() > 0
    assert found.cells == 16 / (size[0] * size[1])


def test_values_of_a_tower_with_dropout_are_those_of_its_evaluation(batch):
    """The features of a training step are disturbed there: v(N) must not be taken from them."""
    model = module(recipe({"box_value": {"regions": PAIRS, "boxes": "phrase"}}))
    assert model.dual_encoder.vision_model.config.drop_path_rate > 0
    calls: list[int] = []
    model.dual_encoder.vision_model.register_forward_hook(lambda *args: calls.append(1))
    counts = {}
    for training in (True, False):
        model.train(training)
        features = model.encode(batch)
        calls.clear()
        inputs = SupplierInputs(model.dual_encoder, model.region_generator, features, batch)
        found = model.suppliers["box_ascent"](inputs, at_step(2).branch(2)).targets
        counts[training] = len(calls)
        if training:
            undropped = model.eval().encode(batch)
            again = replace(inputs, features=replace(undropped, patches=features.patches))
            other = model.suppliers["box_ascent"](again, at_step(2).branch(2)).targets
            torch.testing.assert_close(found.values, other.values, atol=1e-5, rtol=1e-4)
    assert counts == {True: 4, False: 3}


def test_images_without_a_phrase_do_not_count(batch):
    model = module(recipe({"box_value": {"regions": PAIRS, "boxes": "phrase"}})).eval()
    found = supplied(model, "box_ascent", batch, at_step(2)).targets
    rows = torch.randperm(PAIRS, generator=at_step(2).branch(2).generator)
    assert torch.equal(found.real, batch.phrase_mask.any(1)[rows])
    values = box_value_loss(found, size_exponent=0.25)
    cells = (found.soft_masks.detach().sum(-1) * found.cells).clamp(min=1)
    expected = -(found.values / cells**0.25)[found.real].mean()
    assert values["box_value_loss"].item() == pytest.approx(expected.item(), rel=1e-4)
