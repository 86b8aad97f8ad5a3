import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.data.token_file import TokenFile


def test_items_come_back_as_they_went_in():
    torch.manual_seed(0)
    masks = [torch.rand(3, 5) < 0.6, torch.zeros(1, 2, dtype=torch.bool), torch.ones(2, 7, dtype=torch.bool)]
    file, items = TokenFile(), []
    for mask in masks:
        tokens = torch.randn(*mask.shape, 4)
        file.add(tokens.masked_fill(~mask[..., None], float("nan")), mask)  # padding may hold anything
        items += [own[real] for own, real in zip(tokens, mask, strict=True)]
    assert len(file) == 6
    for wanted in ([0, 1, 2, 3, 4, 5], [5], [3], [4, 0, 4]):
        tokens, mask = file.read(wanted)
        assert mask.sum(1).tolist() == [len(items[item]) for item in wanted]
        for own, real, item in zip(tokens, mask, wanted, strict=True):
            assert torch.equal(own[real], items[item])
            assert not own[~real].any()


def test_what_is_not_finite_is_refused():
    with pytest.raises(InputError, match="diverged"):
        TokenFile().add(torch.full((1, 2, 3), float("inf")), torch.ones(1, 2, dtype=torch.bool))
