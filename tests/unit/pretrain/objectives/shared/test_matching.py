"""Matching against loops; several ranks are in test_several_ranks.py."""

import math

import pytest
import torch

from pretrain.objectives.shared import matching
from pretrain.objectives.shared.matching import partner_rows, symmetric_cross_entropy


def test_partners_are_the_rows_of_this_rank_in_the_gathered_batch(monkeypatch):
    rows = torch.zeros(3, 5)
    assert partner_rows(rows).tolist() == [0, 1, 2]
    monkeypatch.setattr(matching, "world", lambda: (2, 4))
    assert partner_rows(rows).tolist() == [6, 7, 8]


def test_loss_and_accuracy_are_means_of_both_directions():
    torch.manual_seed(0)
    per_image, per_text, partners = torch.randn(3, 6), torch.randn(3, 6), torch.tensor([3, 4, 5])
    total, hits = 0.0, 0
    for logits in (per_image.tolist(), per_text.tolist()):
        for row, partner in zip(logits, partners.tolist(), strict=True):
            total += math.log(sum(map(math.exp, row))) - row[partner]
            hits += max(range(6), key=row.__getitem__) == partner
    loss, accuracy = symmetric_cross_entropy(per_image.requires_grad_(), per_text, partners)
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)
    assert accuracy.item() == pytest.approx(hits / 6)
    assert loss.requires_grad
    assert not accuracy.requires_grad
