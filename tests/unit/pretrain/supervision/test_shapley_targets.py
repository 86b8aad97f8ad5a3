"""The fine-grained objectives together: they learn, they cost a fixed number of forwards, they disturb nothing."""

import copy

import pytest
import torch

from pretrain.data.samples.batch import Batch
from pretrain.models.region_generator import Regions
from pretrain.objectives.box_value import box_value_loss
from pretrain.shapley.normalise import row_distributions
from pretrain.supervision.phrases import phrase_embeddings, phrases_alone
from pretrain.tasks.config import DualEncoderConfig
from pretrain.tasks.dual_encoder import DualEncoderTask

VOCABULARY, PAIRS = 60, 6
FINE = {"token_semantics": {}, "fine_grained": {}, "unsil": {}}
CLIMB = {"box_value": {"regions": 4}}
TEACHER = {"phrase_attribution": {"images": 3, "evaluations": 20, "trust": 0.0}}


def recipe(objectives: dict, **supervision) -> DualEncoderConfig:
    settings = {
        "regions": 4,
        "head_width": 16,
        "budget": 3,
        "evaluations": 12,
        "warmup_steps": 0,
    } | supervision
    return DualEncoderConfig.model_validate(
        {
            "model": {
                "projection_dim": 16,
                "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
                "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 12},
            },
            "objectives": objectives,
            "supervision": settings,
            "data": {"batch_size": PAIRS},
        }
    )


def module(config: DualEncoderConfig) -> DualEncoderTask:
    torch.manual_seed(0)
    return DualEncoderTask(config, VOCABULARY)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(5)
    phrases = torch.zeros(PAIRS, 3, 9, dtype=torch.bool)
    phrases[:, 0, 1:3] = True
    phrases[:, 1, 4] = True
    phrases[2] = False  # a caption without phrases
    return Batch(
        keys=[str(row) for row in range(PAIRS)],
        pixel_values=torch.randn(PAIRS, 3, 32, 32, generator=generator),
        input_ids=torch.randint(5, VOCABULARY, (PAIRS, 9), generator=generator),
        attention_mask=torch.ones(PAIRS, 9, dtype=torch.long),
        phrase_tokens=phrases,
        phrase_mask=phrases.any(-1),
    )


def two_steps(model: DualEncoderTask, batch: Batch) -> dict[str, torch.Tensor]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for step in range(2):
        torch.manual_seed(100 + step)
        model(batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.detach().clone() for name, value in model.dual_encoder.named_parameters()}


@pytest.mark.parametrize("context", ["players", "full_text"])
def test_estimation_without_weight_leaves_training_as_it_was(context, batch):
    alone = two_steps(module(recipe({"contrastive": {}})), batch)
    silent = {name: options | {"weight": 0.0} for name, options in (FINE | TEACHER | CLIMB).items()}
    beside = two_steps(module(recipe({"contrastive": {}} | silent, context=context)), batch)
    assert alone.keys() == beside.keys()
    for name, value in alone.items():
        assert torch.equal(value, beside[name]), name


@pytest.mark.parametrize("name", [*FINE, *TEACHER, *CLIMB])
def test_each_objective_alone_reaches_what_it_should_teach(name, batch):
    model = module(recipe({name: (FINE | TEACHER | CLIMB)[name]}))
    model(batch)["loss"].backward()
    reached = {
        part for part, weights in model.named_parameters() if weights.grad is not None and weights.grad.any()
    }
    heads = {
        "token_semantics": "region_generator",
        "fine_grained": "dual_encoder",
        "unsil": "supervision.token_unsil",
    }
    assert any(part.startswith(heads.get(name, "region_generator")) for part in reached)
    if name == "unsil":
        assert all(part.startswith("supervision.") for part in reached), "UNSIL must not teach the towers"


def train(model: DualEncoderTask, batch: Batch, steps: int) -> list[dict[str, float]]:
    optimizer = torch.optim.AdamW(
        [weights for weights in model.parameters() if weights.requires_grad], lr=3e-3
    )
    seen = []
    for step in range(steps):
        torch.manual_seed(step)
        values = model(batch)
        values["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({key: float(value.detach()) for key, value in values.items()})
    return seen


def falls(seen: list[dict[str, float]], name: str, to: float) -> bool:
    early, late = (sum(row[name] for row in part) / 8 for part in (seen[:8], seen[-8:]))
    return late < to * early


def test_heads_learn_the_interactions_of_towers_at_rest(batch):
    # Every cell is a region: the labels of a chosen few would move with the choice.
    every = {"regions": 16, "suppress_above": None, "budget": None, "evaluations": 24, "context": "full_text"}
    model = module(recipe({"token_semantics": {}, "unsil": {}}, **every))
    model.dual_encoder.requires_grad_(False)
    model.eval()  # no stochastic depth: the same regions have the same interactions
    seen = train(model, batch, 48)
    assert falls(seen, "token_semantics_divergence", to=0.8)
    assert falls(seen, "supervision_relative_error", to=0.92)


def test_alignment_and_the_distilled_regions_are_learned(batch):
    seen = train(module(recipe({"fine_grained": {}} | TEACHER)), batch, 40)
    assert falls(seen, "fine_grained_divergence", to=0.9)
    assert falls(seen, "phrase_attribution_loss", to=0.9)


def test_the_number_of_forwards_is_fixed_and_known(batch):
    model = module(recipe({"contrastive": {}} | FINE, context="full_text"))
    calls: list[int] = []
    model.dual_encoder.vision_model.register_forward_hook(
        lambda *args: calls.append(len(args[2].pooler_output))
    )
    for seed in range(3):
        calls.clear()
        torch.manual_seed(seed)
        values = model(batch)
        assert sum(calls) == PAIRS + 3 * 12
        assert values["supervision_evaluations_per_image"] == pytest.approx(3 * 12 / PAIRS)


def test_the_teacher_waits_for_its_first_step(batch):
    options = {"phrase_attribution": TEACHER["phrase_attribution"] | {"first_step": 2}}
    model = module(recipe({"contrastive": {}} | options))
    assert ["attribution_box_loss" in model(batch) for _ in range(4)] == [False, False, True, True]
    again = module(recipe({"contrastive": {}} | options))
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    assert "attribution_box_loss" in again(batch), "a resumed run does not wait again"


def test_box_values_climb_where_towers_rest(batch):
    model = module(recipe({"box_value": {"regions": PAIRS, "size_exponent": 0.0}}))
    model.dual_encoder.requires_grad_(False)
    model.eval()
    seen = train(model, batch, 60)
    early, late = (sum(row["box_value"] for row in part) / 20 for part in (seen[:20], seen[-20:]))
    assert late > early
    assert all(weights.grad is None for weights in model.dual_encoder.parameters())


def test_the_loss_is_minus_the_value_over_the_size(batch):
    model = module(recipe(CLIMB)).eval()
    features = model.encode(batch)
    torch.manual_seed(1)
    found = model.box_ascent(model.dual_encoder, model.region_generator, features, batch)
    loss = box_value_loss(found, size_exponent=0.5)["box_value_loss"]
    cells = found.soft_masks.detach().sum(-1).clamp(min=1)
    assert loss.item() == pytest.approx(-(found.values / cells**0.5).mean().item(), rel=1e-4)
    assert found.slopes.shape == (4, 16)
    assert found.slopes.abs().sum() > 0
    assert not found.slopes.requires_grad


def hide(model: DualEncoderTask, batch: Batch, row: int, keep: torch.Tensor) -> float:
    """v1 of one pair with its cells times `keep`."""
    with torch.no_grad():
        image, _ = model.dual_encoder.encode_image(batch.pixel_values[row : row + 1], keep[None])
        text, _ = model.dual_encoder.encode_text(
            batch.input_ids[row : row + 1], batch.attention_mask[row : row + 1]
        )
    return float((image * text).sum())


def test_a_box_that_leaves_takes_its_cells_alone(batch):
    model = module(recipe({"box_value": {"regions": 4, "others": "all"}})).eval()
    features = model.encode(batch)
    torch.manual_seed(1)
    found = model.box_ascent(model.dual_encoder, model.region_generator, features, batch)
    everything = torch.ones(16)
    for place in range(4):
        mask = found.soft_masks[place].detach()
        # Which images were looked at is drawn: it has to be the one whose numbers they are.
        worth = [
            hide(model, batch, row, everything) - hide(model, batch, row, 1 - mask) for row in range(PAIRS)
        ]
        row = min(range(PAIRS), key=lambda r: abs(worth[r] - float(found.values[place])))
        assert worth[row] == pytest.approx(float(found.values[place]), abs=1e-5)
        cell, step = int((mask - 0.5).abs().argmin()), torch.zeros(16)
        step[cell] = 1e-3
        quotient = (
            hide(model, batch, row, 1 - mask - step) - hide(model, batch, row, 1 - mask + step)
        ) / -2e-3
        assert float(found.slopes[place, cell]) == pytest.approx(quotient, rel=0.05, abs=1e-3)


def test_no_cell_of_a_box_is_among_the_others(batch):
    model = module(recipe({"box_value": {"regions": PAIRS}})).eval()
    features = model.encode(batch)

    def whole_images(patches: torch.Tensor) -> Regions:
        return model.region_generator(patches)._replace(soft_masks=torch.ones(PAIRS, 4, 16))

    found = model.box_ascent(model.dual_encoder, whole_images, features, batch)
    everything = torch.ones(16)
    whole = [
        hide(model, batch, row, everything) - hide(model, batch, row, 0 * everything) for row in range(PAIRS)
    ]
    assert sorted(found.values.tolist()) == pytest.approx(sorted(whole), abs=1e-5)


def test_absence_as_target_is_what_the_image_loses(batch):
    settings = {"target": "absence", "context": "full_text", "size_exponent": 0.5, "budget": None}
    model = module(recipe({"token_semantics": {}}, **settings)).eval()
    features = model.encode(batch)
    seen = model.supervision(model.dual_encoder, model.region_generator, features, batch)
    assert seen.sampled.all()
    assert float(seen.metrics["supervision_evaluations_per_image"]) == 2 * 4
    scale = float(model.supervision.token_unsil.scale())
    everything = torch.ones(16)
    for row in range(PAIRS):
        for region in range(4):
            cells = seen.regions.hard_masks[row, region].float()
            lost = hide(model, batch, row, everything) - hide(model, batch, row, 1 - cells)
            expected = lost / float(cells.sum()) ** 0.5
            assert float(seen.token_targets[row, region]) * scale == pytest.approx(expected, abs=2e-4)


def test_with_absence_phrases_learn_what_they_lose(batch):
    """Phrases as texts of their own; regions that were not looked at have no target."""
    settings = {"target": "absence", "budget": 5, "rows": "shifted", "mode": "sampled"}
    model = module(recipe({"fine_grained": {"both_ways": True}}, **settings)).eval()
    encoder, features = model.dual_encoder, model.encode(batch)
    seen = model.supervision(encoder, model.region_generator, features, batch)
    assert int(seen.known.sum()) == 5
    assert torch.equal(seen.known, seen.sampled)
    everything = torch.ones(1, 16)
    for row in seen.known.any(1).nonzero().flatten().tolist():
        ids, mask = phrases_alone(
            *(part[row : row + 1] for part in (batch.input_ids, batch.attention_mask)),
            batch.phrase_tokens[row : row + 1],
            12,
        )
        with torch.no_grad():
            phrases = torch.stack(
                [encoder.encode_text(i[None], m[None])[0][0] for i, m in zip(ids[0], mask[0], strict=True)]
            )
            pixels = batch.pixel_values[row : row + 1]
            whole, _ = encoder.encode_image(pixels, everything)
        torch.testing.assert_close(seen.phrases[row], phrases, atol=1e-5, rtol=1e-4)
        lost = torch.zeros(4, 3)
        for region in seen.known[row].nonzero().flatten().tolist():
            with torch.no_grad():
                without, _ = encoder.encode_image(
                    pixels, 1 - seen.regions.hard_masks[row, region].float()[None]
                )
            lost[region] = phrases @ (whole - without)[0]
        known, real = seen.known[row : row + 1], batch.phrase_mask[row : row + 1]
        by_region = row_distributions(lost[None], known, real, "shifted")[0]
        by_phrase = row_distributions(lost.T[None], real, known, "shifted")[0].T
        torch.testing.assert_close(seen.semantic_targets[row], by_region, atol=5e-3, rtol=1e-2)
        torch.testing.assert_close(seen.phrase_targets[row], by_phrase, atol=5e-3, rtol=1e-2)
    model.train()
    values = model(batch)
    values["loss"].backward()
    assert values["fine_grained_loss"].isfinite()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


def test_phrase_embeddings_are_means_of_their_words(batch):
    words = torch.randn(PAIRS, 9, 16)
    got = phrase_embeddings(words, batch.phrase_tokens)
    expected = (words[0, 1] + words[0, 2]) / 2
    torch.testing.assert_close(got[0, 0], expected / expected.norm())
    torch.testing.assert_close(got[1, 1], words[1, 4] / words[1, 4].norm())
    assert not got[2].any()


def test_a_phrase_alone_is_framed_and_padded():
    ids = torch.tensor([[2, 11, 12, 13, 14, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0]])
    phrases = torch.zeros(1, 3, 7, dtype=torch.bool)
    phrases[0, 0, 2:4] = True
    phrases[0, 1, 1:5] = True
    got, attention = phrases_alone(ids, mask, phrases, longest=5)
    assert got[0].tolist() == [[2, 12, 13, 3, 0], [2, 11, 12, 13, 3], [2, 3, 0, 0, 0]]
    assert attention[0].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


def test_boxes_can_be_held_against_the_alignment_loss(batch):
    losses, sizes = {}, {}
    for moves in (True, False):
        model = module(recipe({"fine_grained": {"scale": 5.0, "moves_boxes": moves}})).train()
        torch.manual_seed(1)
        found = model(batch)
        found["loss"].backward()
        losses[moves] = found["fine_grained_loss"].item()
        gradient = model.region_generator.out.weight.grad
        sizes[moves] = 0.0 if gradient is None else gradient[2:4].abs().sum().item()
        assert model.dual_encoder.visual_projection.weight.grad.abs().sum() > 0
    assert losses[True] == pytest.approx(losses[False])
    assert sizes[True] > 0
    assert sizes[False] == 0
