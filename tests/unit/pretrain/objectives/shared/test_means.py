"""Means against hand-computed ones."""

import torch

from pretrain.objectives.shared.means import mean_of_real, mean_per_item


def test_real_entries_are_averaged_per_item_and_an_empty_item_counts_as_0():
    values = torch.tensor([[1.0, 2.0, float("nan")], [5.0, 7.0, 9.0], [4.0, 4.0, 4.0]])
    real = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    assert mean_per_item(values, real).item() == (1.5 + 9.0 + 0.0) / 3


def test_all_axes_but_the_first_are_averaged_together():
    values = torch.arange(12.0).view(2, 2, 3)
    real = torch.ones(2, 2, 3, dtype=torch.bool)
    real[0, 0] = False
    assert mean_per_item(values, real).item() == ((3 + 4 + 5) / 3 + (6 + 7 + 8 + 9 + 10 + 11) / 6) / 2


def test_on_one_rank_the_share_is_the_mean_over_all_real_entries():
    values = torch.tensor([[1.0, 2.0, float("nan")], [5.0, 7.0, 9.0]])
    real = torch.tensor([[True, True, False], [False, False, True]])
    assert mean_of_real(values, real).item() == (1 + 2 + 9) / 3
    assert mean_of_real(values, torch.zeros_like(real)).item() == 0
