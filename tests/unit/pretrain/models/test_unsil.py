import copy

import pytest
import torch
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.models.unsil import SIGMA_MIN, SemanticUnsil, TokenUnsil
from pretrain.models.unsil_bodies import BODIES
from pretrain.objectives.unsil import unsil_loss

DIM = 16


def trained_looking(head):
    """The readout starts at zero; give it weights, so that an answer depends on something."""
    torch.manual_seed(1)
    torch.nn.init.normal_(head.readout.out.weight, std=0.5)
    return head.eval()


def token_inputs(batch=3, regions=4, cells=9, words=6):
    torch.manual_seed(0)
    unit = lambda *shape: F.normalize(torch.randn(*shape, DIM), dim=-1)  # noqa: E731
    region_mask = torch.arange(regions) < torch.tensor([[regions], [2], [1]])
    word_mask = torch.arange(words) < torch.tensor([[words], [3], [0]])
    return {
        "regions": unit(batch, regions),
        "boxes": torch.rand(batch, regions, 4),
        "region_mask": region_mask,
        "patches": unit(batch, cells),
        "words": unit(batch, words),
        "word_mask": word_mask,
    }


def semantic_inputs(batch=3, regions=4, phrases=5):
    torch.manual_seed(0)
    unit = lambda *shape: F.normalize(torch.randn(*shape, DIM), dim=-1)  # noqa: E731
    return {
        "regions": unit(batch, regions),
        "phrases": unit(batch, phrases),
        "region_mask": torch.arange(regions) < torch.tensor([[regions], [2], [1]]),
        "phrase_mask": torch.arange(phrases) < torch.tensor([[phrases], [3], [0]]),
    }


@pytest.mark.parametrize("body", BODIES)
def test_token_head_ignores_padding(body):
    head, inputs = trained_looking(TokenUnsil(DIM, width=32, body=body)), token_inputs()
    clean = head(**inputs)
    for name, mask in (("regions", "region_mask"), ("boxes", "region_mask"), ("words", "word_mask")):
        inputs[name] = inputs[name].masked_fill(~inputs[mask].unsqueeze(-1), float("nan"))
    inputs["regions"].requires_grad_()
    dirty = head(**inputs)
    assert torch.equal(clean.relative, dirty.relative)
    assert torch.equal(clean.uncertainty, dirty.uncertainty)
    assert (clean.interaction[~inputs["region_mask"]] == 0).all()
    alone = head(
        inputs["regions"][1:2, :2],
        inputs["boxes"][1:2, :2],
        torch.ones(1, 2, dtype=torch.bool),
        inputs["patches"][1:2],
        inputs["words"][1:2, :3],
        torch.ones(1, 3, dtype=torch.bool),
    )
    torch.testing.assert_close(alone.relative, clean.relative[1:2, :2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone.uncertainty, clean.uncertainty[1:2, :2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_semantic_head_ignores_padding(body):
    head, inputs = trained_looking(SemanticUnsil(DIM, width=32, body=body)), semantic_inputs()
    clean = head(**inputs)
    assert clean.relative.shape == (3, 4, 5)
    for name, mask in (("regions", "region_mask"), ("phrases", "phrase_mask")):
        inputs[name] = inputs[name].masked_fill(~inputs[mask].unsqueeze(-1), float("inf"))
    dirty = head(**inputs)
    assert torch.equal(clean.relative, dirty.relative)
    assert torch.equal(clean.uncertainty, dirty.uncertainty)
    assert (clean.relative[2] == 0).all()  # an image without phrases has no pair
    ones = torch.ones(1, 3, dtype=torch.bool)
    alone = head(inputs["regions"][1:2, :2], inputs["phrases"][1:2, :3], ones[:, :2], ones)
    torch.testing.assert_close(alone.relative, clean.relative[1:2, :2, :3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("body", ["mlp_attention", "transformer"])
def test_the_order_of_players_does_not_matter(body):
    head, inputs = trained_looking(SemanticUnsil(DIM, width=32, body=body)), semantic_inputs()
    answer = head(**inputs).relative
    rows, columns = torch.tensor([2, 0, 3, 1]), torch.tensor([4, 1, 0, 2, 3])
    turned = head(
        inputs["regions"][:, rows],
        inputs["phrases"][:, columns],
        inputs["region_mask"][:, rows],
        inputs["phrase_mask"][:, columns],
    ).relative
    torch.testing.assert_close(turned, answer[:, rows][:, :, columns], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("changed", ["regions", "boxes", "patches", "words"])
def test_token_head_uses_all_that_it_is_given(body, changed):
    head, inputs = trained_looking(TokenUnsil(DIM, width=32, body=body)), token_inputs()
    before = head(**inputs)
    inputs[changed] = inputs[changed].flip(-1)
    after = head(**inputs)
    assert (before.relative[0] - after.relative[0]).abs().min() > 1e-4
    assert (before.uncertainty[0] - after.uncertainty[0]).abs().max() > 1e-5


@pytest.mark.parametrize("body", BODIES)
def test_a_new_head_predicts_nothing_and_doubts_everything(body):
    prediction = TokenUnsil(DIM, width=32, body=body)(**token_inputs())
    assert (prediction.relative == 0).all()
    assert prediction.uncertainty[0].tolist() == pytest.approx([0.88] * 4, abs=0.01)


def test_uncertainty_stays_inside_its_interval_at_any_logit():
    head, inputs = TokenUnsil(DIM, width=32), token_inputs()
    for bias in (-1e4, 1e4):
        torch.nn.init.constant_(head.readout.out.bias, bias)
        sigma = head(**inputs).uncertainty
        assert (sigma >= SIGMA_MIN * 0.99).all()
        assert (sigma <= 1 - SIGMA_MIN * 0.99).all()
        loss = unsil_loss(
            torch.full((3, 4), 30.0), sigma, torch.zeros(3, 4), inputs["region_mask"], beta=1.0
        )["unsil_loss"]
        assert torch.isfinite(loss)


def test_gradients_reach_the_head_and_only_the_head_unless_asked():
    for detach in (True, False):
        inputs = token_inputs()
        inputs["patches"].requires_grad_()
        head = trained_looking(TokenUnsil(DIM, width=32, detach=detach))
        prediction = head(**inputs)
        assert not prediction.interaction.requires_grad
        unsil_loss(
            prediction.relative, prediction.uncertainty, torch.ones(3, 4), inputs["region_mask"], beta=1.0
        )["unsil_loss"].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
        assert (inputs["patches"].grad is None) == detach


@pytest.mark.parametrize("body", BODIES)
def test_learns_an_interaction_and_where_it_is_unpredictable(body):
    """I = 1 + 2·<region, phrase>, plus noise where the region's first entry is positive: σ must tell the two apart."""
    torch.manual_seed(0)
    head = SemanticUnsil(DIM, width=32, body=body)
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-3)
    mask = torch.ones(64, 3, dtype=torch.bool), torch.ones(64, 2, dtype=torch.bool)

    def draw():
        x, y = (F.normalize(torch.randn(64, n, DIM), dim=-1) for n in (3, 2))
        noisy = (x[..., :1] > 0).expand(-1, -1, 2)
        return x, y, noisy, 1 + 2 * x @ y.mT + noisy * torch.randn(64, 3, 2)

    for _ in range(250):
        x, y, _, target = draw()
        prediction = head(x, y, *mask)
        optimiser.zero_grad()
        unsil_loss(
            prediction.relative, prediction.uncertainty, target, torch.ones_like(target).bool(), beta=1.0
        )["unsil_loss"].backward()
        optimiser.step()
    x, y, noisy, target = draw()
    prediction = head(x, y, *mask)
    error = (prediction.relative - target)[~noisy].square().mean()
    assert error < 0.3 * target[~noisy].var()
    assert prediction.uncertainty[noisy].mean() > prediction.uncertainty[~noisy].mean() + 0.2


def test_predictions_come_back_in_the_games_units():
    head, inputs = trained_looking(TokenUnsil(DIM, width=32)), token_inputs()
    head.scale.update(torch.full((3, 4), 0.004), inputs["region_mask"])
    prediction = head(**inputs)
    torch.testing.assert_close(prediction.interaction, prediction.relative.detach() * 0.004)


@pytest.mark.parametrize("head", [TokenUnsil, SemanticUnsil])
def test_bf16_keeps_its_scale_exact_and_its_answers_close(head):
    exact = trained_looking(head(DIM, width=32))
    exact.scale.update(torch.full((2, 2), 0.0123), torch.ones(2, 2, dtype=torch.bool))
    low = copy.deepcopy(exact).to(torch.bfloat16)
    assert low.scale.mean_square.dtype == torch.float32
    assert torch.equal(low.scale(), exact.scale())
    inputs = token_inputs() if head is TokenUnsil else semantic_inputs()
    halved = {k: v.bfloat16() if v.is_floating_point() else v for k, v in inputs.items()}
    assert low(**halved).uncertainty.dtype == torch.float32
    assert torch.equal(
        low(**halved).relative,
        low(**{k: v.float() if v.is_floating_point() else v for k, v in halved.items()}).relative,
    )
    torch.testing.assert_close(low(**halved).relative, exact(**inputs).relative, atol=0.15, rtol=0.1)


def test_an_unknown_body_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"'lstm'; allowed are mlp_attention, conv1d, transformer"):
        TokenUnsil(DIM, body="lstm")
    with pytest.raises(InputError, match=r"30 is not a multiple of its 4 heads"):
        TokenUnsil(DIM, width=30)
