"""The loss of box ascent: its value, and its gradient against difference quotients."""

import pytest
import torch
from pydantic import ValidationError

from pretrain.objectives.box_value import BoxValueOptions, BoxValues, box_value_loss


def value(masks: torch.Tensor, exponent: float) -> torch.Tensor:
    """Loss of a game that is linear in the mask, so the slopes are known exactly."""
    slopes = torch.tensor([[0.3, -0.1, 0.2], [0.0, 0.4, -0.2]], dtype=torch.float64)
    values = (masks * slopes).sum(-1) + torch.tensor([0.05, -0.02], dtype=torch.float64)
    return -(values / masks.sum(-1).clamp(min=1) ** exponent).mean()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_value_and_gradient(exponent):
    masks = torch.tensor([[0.9, 0.8, 0.3], [0.2, 0.9, 0.7]], dtype=torch.float64, requires_grad=True)
    slopes = torch.tensor([[0.3, -0.1, 0.2], [0.0, 0.4, -0.2]])
    values = (masks.detach() * slopes).sum(-1) + torch.tensor([0.05, -0.02])
    loss = box_value_loss(BoxValues(masks, values.float(), slopes), size_exponent=exponent)["box_value_loss"]
    assert loss.item() == pytest.approx(value(masks, exponent).item(), rel=1e-5)
    loss.backward()
    for place in [(0, 0), (0, 2), (1, 1)]:
        step = torch.zeros_like(masks).index_put_(
            tuple(torch.tensor([p]) for p in place), torch.tensor(1e-6).double()
        )
        quotient = (value(masks.detach() + step, exponent) - value(masks.detach() - step, exponent)) / 2e-6
        assert masks.grad[place].item() == pytest.approx(quotient.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boxes": "phrase", "others": "all"}, "others is 'all', which boxes: phrase have no use for"),
        ({"text": "max_pooled"}, "text is 'max_pooled', which boxes: confident have no use for"),
    ],
)
def test_options_without_effect_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        BoxValueOptions(**options)
