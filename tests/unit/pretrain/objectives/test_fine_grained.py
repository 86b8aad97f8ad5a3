"""Referee: the cross-entropy of eq. 11 in plain loops."""

import math

import pytest
import torch

from pretrain.objectives.fine_grained import fine_grained_loss


def inputs(images=4, regions=3, phrases=5):
    torch.manual_seed(0)
    alignment = torch.randn(images, regions, phrases).requires_grad_()
    region_mask = torch.ones(images, regions, dtype=torch.bool)
    phrase_mask = torch.arange(phrases) < torch.tensor([[5], [2], [1], [0]])
    region_mask[0, 1] = False
    real = region_mask[:, :, None] & phrase_mask[:, None, :]
    weights = torch.rand(images, regions, phrases) * real
    rows = weights / weights.sum(2, keepdim=True).clamp(min=1e-9)
    columns = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
    return alignment, rows, columns, region_mask, phrase_mask


def loops(alignment, targets, row_mask, column_mask, scale=1.0):
    total, entropy = 0.0, 0.0
    for b in range(len(alignment)):
        columns = [j for j in range(alignment.shape[2]) if column_mask[b, j]]
        rows = [i for i in range(alignment.shape[1]) if row_mask[b, i]]
        if not rows or not columns:
            continue
        for i in rows:
            partition = sum(math.exp(scale * alignment[b, i, j].item()) for j in columns)
            for j in columns:
                t = targets[b, i, j].item()
                log_share = scale * alignment[b, i, j].item() - math.log(partition)
                total -= t * log_share / len(rows) / len(alignment)
                entropy -= (t * math.log(t) if t > 0 else 0) / len(rows) / len(alignment)
    return total, entropy


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_one_direction_equals_the_loops(scale):
    alignment, rows, _, region_mask, phrase_mask = inputs()
    result = fine_grained_loss(alignment, rows, region_mask, phrase_mask, scale=scale)
    total, entropy = loops(alignment, rows, region_mask, phrase_mask, scale)
    assert result["fine_grained_loss"].item() == pytest.approx(total, abs=1e-5)
    assert result["fine_grained_divergence"].item() == pytest.approx(total - entropy, abs=1e-5)


def test_both_directions_are_averaged():
    alignment, rows, columns, region_mask, phrase_mask = inputs()
    result = fine_grained_loss(alignment, rows, region_mask, phrase_mask, phrase_targets=columns, scale=1.0)
    to_phrases, _ = loops(alignment, rows, region_mask, phrase_mask)
    to_regions, _ = loops(alignment.mT, columns.mT, phrase_mask, region_mask)
    assert result["fine_grained_loss"].item() == pytest.approx((to_phrases + to_regions) / 2, abs=1e-5)


def test_the_gradient_is_softmax_minus_target_and_stays_out_of_padding():
    alignment, rows, columns, region_mask, phrase_mask = inputs()
    fine_grained_loss(alignment, rows, region_mask, phrase_mask, scale=1.0)["fine_grained_loss"].backward()
    real = region_mask[:, :, None] & phrase_mask[:, None, :]
    assert torch.isfinite(alignment.grad).all()
    assert (alignment.grad[~real] == 0).all()
    row = torch.softmax(alignment[0, 0].detach(), 0) - rows[0, 0]  # image 0: 5 phrases, 2 real regions
    torch.testing.assert_close(alignment.grad[0, 0], row / 2 / 4)
    dirty = alignment.detach().masked_fill(~real, float("nan")).requires_grad_()
    loss = fine_grained_loss(dirty, rows, region_mask, phrase_mask, phrase_targets=columns, scale=1.0)[
        "fine_grained_loss"
    ]
    loss.backward()
    assert torch.isfinite(dirty.grad).all()


def test_alignment_that_explains_the_targets_has_no_divergence():
    alignment, rows, _, region_mask, phrase_mask = inputs()
    perfect = rows.clamp(min=1e-30).log()
    result = fine_grained_loss(perfect, rows, region_mask, phrase_mask, scale=1.0)
    assert result["fine_grained_divergence"].abs() < 1e-6
    worse = fine_grained_loss(alignment, rows, region_mask, phrase_mask, scale=1.0)
    assert worse["fine_grained_divergence"] > 0.01
