import pytest
import torch

from data_filters.errors import InputError
from pretrain.export.region_head import build_region_head
from pretrain.models.region_generator import RegionGenerator


def test_a_head_answers_as_the_one_its_weights_are_from():
    torch.manual_seed(0)
    trained = RegionGenerator(6, (2, 3), 4, width=5).eval()
    torch.nn.init.normal_(trained.out.weight)
    head = build_region_head(trained.state_dict(), 6, (2, 3), "RUN").eval()
    tokens = torch.randn(2, 6, 6)
    with torch.no_grad():
        for ours, theirs in zip(head.every_cell(tokens), trained.every_cell(tokens), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert head.regions == 6  # every cell is a candidate


def test_other_weights_are_refused():
    with pytest.raises(
        InputError, match="^RUN: the region generator is not one that this version knows .'out.weight'."
    ):
        build_region_head({"layer.weight": torch.zeros(2, 2)}, 6, (2, 3), "RUN")
    weights = RegionGenerator(6, (2, 3), 4, width=5).state_dict()
    with pytest.raises(InputError, match="size mismatch") as raised:
        build_region_head(weights, 7, (2, 3), "RUN")
    assert "\n" not in str(raised.value)
