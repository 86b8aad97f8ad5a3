import pytest
import torch

from pretrain.evaluation.metrics.classes import mean_per_class, rank_of_class


def test_ties_go_against_the_model():
    scores = torch.tensor([[0.5, 0.5, 0.1], [0.3, 0.2, 0.1]])
    assert rank_of_class(scores, torch.tensor([0, 1])).tolist() == [1, 1]
    assert rank_of_class(scores, torch.tensor([2, 0])).tolist() == [2, 0]


def test_every_class_counts_alike():
    label = torch.tensor([0, 0, 0, 0, 2])
    right = torch.tensor([True, True, True, False, False])
    assert mean_per_class(right, label) == pytest.approx((0.75 + 0) / 2)
