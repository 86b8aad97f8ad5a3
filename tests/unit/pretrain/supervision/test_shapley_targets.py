"""Shapley supervision: it learns, takes a fixed number of forward passes, and does not change the rest of training."""

import pytest
import torch
from small_tasks import PAIRS, at_step, falls, module, recipe, six_pairs, supplied, train, value_without

from pretrain.data.samples.batch import Batch
from pretrain.regions.pixel_masks import box_pixels
from pretrain.shapley.normalise import row_distributions
from pretrain.supervision.phrases import phrases_alone
from pretrain.tasks.dual_encoder import DualEncoderTask

FINE = {"token_semantics": {}, "fine_grained": {}, "unsil": {}}
CLIMB = {"box_value": {"regions": 4}}
TEACHER = {"phrase_attribution": {"images": 3, "evaluations": 20, "trust": 0.0}}


def two_steps(model: DualEncoderTask, batch: Batch) -> dict[str, torch.Tensor]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for step in range(2):
        torch.manual_seed(100 + step)
        model(batch, at_step(step, 100 + step))["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.detach().clone() for name, value in model.dual_encoder.named_parameters()}


@pytest.fixture
def batch() -> Batch:
    return six_pairs()


@pytest.mark.parametrize("context", ["players", "full_text"])
def test_suppliers_of_objectives_with_weight_0_do_not_change_training(context, batch):
    alone = two_steps(module(recipe({"contrastive": {}})), batch)
    silent = {name: options | {"weight": 0.0} for name, options in (FINE | TEACHER | CLIMB).items()}
    beside = two_steps(module(recipe({"contrastive": {}} | silent, context=context)), batch)
    assert alone.keys() == beside.keys()
    for name, value in alone.items():
        assert torch.equal(value, beside[name]), name


@pytest.mark.parametrize("name", [*FINE, *TEACHER, *CLIMB])
def test_each_objective_alone_has_gradients_in_the_part_that_it_trains(name, batch):
    model = module(recipe({name: (FINE | TEACHER | CLIMB)[name]}))
    model(batch, at_step(0))["loss"].backward()
    reached = {
        part for part, weights in model.named_parameters() if weights.grad is not None and weights.grad.any()
    }
    heads = {
        "token_semantics": "region_generator",
        "fine_grained": "dual_encoder",
        "unsil": "suppliers.shapley.token_unsil",
    }
    assert any(part.startswith(heads.get(name, "region_generator")) for part in reached)
    if name == "unsil":
        assert all(part.startswith("suppliers.shapley.") for part in reached), (
            "UNSIL must not teach the towers"
        )


@pytest.mark.parametrize("name", ["token_semantics", "box_value"])
def test_with_head_alone_no_tower_learns_from_boxes_and_confidences(name, batch):
    objectives = {name: (FINE | CLIMB)[name]}
    for alone in (False, True):
        model = module(recipe(objectives, head_alone=alone))
        model(batch, at_step(0))["loss"].backward()
        reached = {part for part, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert any(part.startswith("region_generator") for part in reached)
        assert any(part.startswith("dual_encoder.vision") for part in reached) != alone


def test_before_the_first_step_no_target_is_made_and_the_losses_rest(batch):
    climb = {"box_value": {"regions": 4}}
    objectives = {"contrastive": {}, "phrase_contrast": {"credit": "shapley"}} | FINE | climb
    model = module(recipe(objectives, first_step=3, target="ends", warmup_steps=2, mode="hybrid"))
    for step, made in ((0, False), (2, False), (3, True), (5, True)):
        values = model(batch, at_step(step))
        assert ("supervision_mean_sigma" in values) == made
        assert ("box_value" in values) == made
        assert (float(values["token_semantics_loss"]) != 0) == made
        assert values["loss"].isfinite()
        if made:  # the warm-up begins with the targets
            assert (float(values["supervision_share_predicted"]) > 0) == (step == 5)


@pytest.mark.parametrize(
    ("objectives", "settings", "rest"),
    [
        ({"token_semantics": {}}, {"first_step": 7}, 7),
        ({"box_value": {"regions": 4}}, {"first_step": 7}, 7),
        ({"token_semantics": {}}, {}, 0),
        # The teacher of phrase_attribution trains the same head from its own first step on.
        (TEACHER | {"token_semantics": {}}, {"first_step": 7}, 0),
    ],
)
def test_heads_rest_in_the_optimiser_until_their_first_targets(objectives, settings, rest):
    model = module(recipe({"contrastive": {}} | objectives, **settings))
    heads = {id(p) for name, p in model.named_parameters() if not name.startswith("dual_encoder.")}
    for group in model.parameter_groups(0.1, 5.0):
        of_heads = {id(p) in heads for p in group.parameters}
        assert len(of_heads) == 1
        assert group.from_step == (rest if of_heads.pop() else 0)


def test_heads_learn_the_interactions_of_frozen_towers(batch):
    # Every cell is a region: the labels of a selection would change with the selection.
    settings = {
        "regions": 16,
        "suppress_above": None,
        "budget": None,
        "evaluations": 24,
        "context": "full_text",
    }
    model = module(recipe({"token_semantics": {}, "unsil": {}}, **settings))
    model.dual_encoder.requires_grad_(False)
    model.eval()  # no stochastic depth: the same regions have the same interactions
    history = train(model, batch, 48)
    assert falls(history, "token_semantics_divergence", to=0.8)
    assert falls(history, "supervision_relative_error", to=0.92)


def test_the_number_of_forwards_is_fixed_and_known(batch):
    model = module(recipe({"contrastive": {}} | FINE, context="full_text"))
    calls: list[int] = []
    model.dual_encoder.vision_model.register_forward_hook(
        lambda *args: calls.append(len(args[2].pooler_output))
    )
    for seed in range(3):
        calls.clear()
        torch.manual_seed(seed)
        values = model(batch, at_step(seed))
        assert sum(calls) == PAIRS + 3 * 12
        assert values["supervision_evaluations_per_image"] == pytest.approx(3 * 12 / PAIRS)


def test_target_absence_is_the_similarity_lost_without_the_region(batch):
    settings = {"target": "absence", "context": "full_text", "size_exponent": 0.5, "budget": None}
    model = module(recipe({"token_semantics": {}}, **settings)).eval()
    result = supplied(model, "shapley", batch, at_step(0))
    targets = result.targets
    assert targets.sampled.all()
    assert float(result.metrics["supervision_evaluations_per_image"]) == 4  # v(N) is that of the step itself
    scale = float(model.suppliers["shapley"].token_unsil.scale())
    everything = torch.ones(16)
    for row in range(PAIRS):
        for region in range(4):
            cells = targets.regions.hard_masks[row, region].float()
            lost = value_without(model, batch, row, everything) - value_without(model, batch, row, 1 - cells)
            expected = lost / float(cells.sum()) ** 0.5
            assert float(targets.token_targets[row, region]) * scale == pytest.approx(expected, abs=2e-4)


def test_target_ends_is_the_mean_of_the_region_alone_and_its_absence(batch):
    settings = {"target": "ends", "context": "full_text", "size_exponent": 0.25, "budget": None}
    model = module(recipe({"token_semantics": {}}, **settings)).eval()
    result = supplied(model, "shapley", batch, at_step(0))
    assert float(result.metrics["supervision_evaluations_per_image"]) == 2 * 4 + 1
    scale = float(model.suppliers["shapley"].token_unsil.scale())
    everything, nothing = torch.ones(16), torch.zeros(16)
    for row in range(PAIRS):
        for region in range(4):
            cells = result.targets.regions.hard_masks[row, region].float()
            parts = (cells, nothing, everything, 1 - cells)
            alone, empty, whole, without = (value_without(model, batch, row, keep) for keep in parts)
            expected = (alone - empty + whole - without) / 2 / float(cells.sum()) ** 0.25
            found = float(result.targets.token_targets[row, region]) * scale
            assert found == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("target", ["absence", "ends"])
def test_what_is_missing_may_be_filled_in_and_regions_are_boxes_of_pixels_then(target, batch):
    settings = {"target": target, "context": "full_text", "fill": "median", "budget": None}
    model = module(recipe({"token_semantics": {}, "fine_grained": {}}, **settings)).eval()
    targets = supplied(model, "shapley", batch, at_step(0)).targets
    scale = float(model.suppliers["shapley"].token_unsil.scale())
    for row in range(PAIRS):
        pixels = batch.pixel_values[row : row + 1]
        plain = pixels.flatten(2).median(-1).values[..., None, None]
        with torch.no_grad():
            text, _ = model.dual_encoder.encode_text(
                batch.input_ids[row : row + 1], batch.attention_mask[row : row + 1]
            )

        def value(mask: torch.Tensor, pixels=pixels, plain=plain, text=text) -> float:
            with torch.no_grad():
                return float(
                    (model.dual_encoder.encode_image(plain + mask * (pixels - plain))[0] * text).sum()
                )

        for region in range(4):
            mask = box_pixels(targets.regions.boxes[row, region][None].detach(), tuple(pixels.shape[-2:]))
            whole, nothing = torch.ones_like(mask), torch.zeros_like(mask)
            expected = value(whole) - value(1 - mask)
            if target == "ends":
                expected = (expected + value(mask) - value(nothing)) / 2
            assert float(targets.token_targets[row, region]) * scale == pytest.approx(expected, abs=2e-4)


def test_with_target_absence_semantic_targets_are_the_similarities_lost(batch):
    """Phrases are texts of their own; regions that were not sampled have no target."""
    settings = {"target": "absence", "budget": 5, "rows": "shifted", "mode": "sampled"}
    model = module(recipe({"fine_grained": {"both_ways": True}}, **settings)).eval()
    encoder = model.dual_encoder
    targets = supplied(model, "shapley", batch, at_step(0)).targets
    assert int(targets.semantic.known.sum()) == 5
    assert torch.equal(targets.semantic.known, targets.sampled)
    everything = torch.ones(1, 16)
    for row in targets.semantic.known.any(1).nonzero().flatten().tolist():
        ids, mask = phrases_alone(
            *(part[row : row + 1] for part in (batch.input_ids, batch.attention_mask)),
            batch.phrase_tokens[row : row + 1],
            12,
        )
        with torch.no_grad():
            phrases = torch.stack(
                [encoder.encode_text(i[None], m[None])[0][0] for i, m in zip(ids[0], mask[0], strict=True)]
            )
            phrases = phrases * batch.phrase_mask[row][:, None]  # zeros in slots without a phrase
            pixels = batch.pixel_values[row : row + 1]
            whole, _ = encoder.encode_image(pixels, everything)
        torch.testing.assert_close(targets.semantic.phrases[row], phrases, atol=1e-5, rtol=1e-4)
        lost = torch.zeros(4, 3)
        for region in targets.semantic.known[row].nonzero().flatten().tolist():
            with torch.no_grad():
                without, _ = encoder.encode_image(
                    pixels, 1 - targets.regions.hard_masks[row, region].float()[None]
                )
            lost[region] = phrases @ (whole - without)[0]
        known, real = targets.semantic.known[row : row + 1], batch.phrase_mask[row : row + 1]
        by_region = row_distributions(lost[None], known, real, "shifted")[0]
        by_phrase = row_distributions(lost.T[None], real, known, "shifted")[0].T
        torch.testing.assert_close(targets.semantic.by_region[row], by_region, atol=5e-3, rtol=1e-2)
        torch.testing.assert_close(targets.semantic.by_phrase[row], by_phrase, atol=5e-3, rtol=1e-2)
    model.train()
    values = model(batch, at_step(0))
    values["loss"].backward()
    assert values["fine_grained_loss"].isfinite()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


def test_moves_boxes_false_keeps_the_gradient_from_the_boxes(batch):
    losses, sizes = {}, {}
    for moves in (True, False):
        model = module(recipe({"fine_grained": {"scale": 5.0, "moves_boxes": moves}})).train()
        torch.manual_seed(1)
        values = model(batch, at_step(0))
        values["loss"].backward()
        losses[moves] = values["fine_grained_loss"].item()
        gradient = model.region_generator.out.weight.grad
        sizes[moves] = 0.0 if gradient is None else gradient[2:4].abs().sum().item()
        assert model.dual_encoder.visual_projection.weight.grad.abs().sum() > 0
    assert losses[True] == pytest.approx(losses[False])
    assert sizes[True] > 0
    assert sizes[False] == 0
