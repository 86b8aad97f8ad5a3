"""Three readings of the same evaluations."""

import pytest
import torch

from data_filters.errors import InputError
from pretrain.shapley.sampled import MergedEstimate
from pretrain.shapley.targets import TARGETS, region_targets


@pytest.fixture
def estimate():
    return MergedEstimate(
        interaction=torch.tensor([[-2.0, 3.0, 0.0]]),
        interaction_error=torch.tensor([[0.4, 0.6, 0.0]]),
        value=torch.tensor([[1.0, -8.0, 0.0]]),
        value_error=torch.tensor([[0.2, 0.8, 0.0]]),
        size=torch.tensor([[4, 16, 0]]),
        evaluations=torch.tensor([[24, 24, 24]]),
    )


@pytest.mark.parametrize(
    ("target", "exponent", "expected", "error"),
    [
        ("interaction", 0.0, [-2.0, 3.0, 0.0], [0.4, 0.6, 0.0]),
        ("abs_interaction", 0.0, [2.0, 3.0, 0.0], [0.4, 0.6, 0.0]),
        ("value", 0.0, [1.0, -8.0, 0.0], [0.2, 0.8, 0.0]),
        ("value", 0.5, [0.5, -2.0, 0.0], [0.1, 0.2, 0.0]),
        ("interaction", 1.0, [-0.5, 0.1875, 0.0], [0.1, 0.0375, 0.0]),
    ],
)
def test_targets_by_hand(estimate, target, exponent, expected, error):
    found, off = region_targets(estimate, target, exponent)
    torch.testing.assert_close(found, torch.tensor([expected]))
    torch.testing.assert_close(off, torch.tensor([error]))


def test_unknown_and_missing_targets_are_named(estimate):
    with pytest.raises(InputError, match="'interaction', 'abs_interaction', 'value'"):
        region_targets(estimate, "size")
    unknown = torch.full((1, 3), float("nan"))
    bare = MergedEstimate(
        unknown, unknown, estimate.value, estimate.value_error, estimate.size, estimate.evaluations
    )
    assert region_targets(bare, "value")[0][0, 0] == 1
    with pytest.raises(InputError, match="members_alone=True"):
        region_targets(bare, "interaction")
    assert set(TARGETS) == {"interaction", "abs_interaction", "value"}
