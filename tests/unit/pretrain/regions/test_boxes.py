"""Referee: boxes drawn on a fine raster; suppression written as one loop over sorted boxes."""

import pytest
import torch

from pretrain.regions.boxes import most_confident, overlap, to_corners


def raster_overlap(a, b, size=400):
    points = (torch.arange(size) + 0.5) / size

    def drawn(box):
        x, y, w, h = box.tolist()
        inside_x = (points >= x - w / 2) & (points < x + w / 2)
        inside_y = (points >= y - h / 2) & (points < y + h / 2)
        return inside_y[:, None] & inside_x

    a, b = drawn(a), drawn(b)
    return ((a & b).sum() / (a | b).sum()).item()


def test_overlap_equals_the_raster():
    torch.manual_seed(0)
    a, b = torch.rand(2, 5, 4) * 0.6 + 0.2, torch.rand(2, 4, 4) * 0.6 + 0.2
    values = overlap(a, b)
    assert values.shape == (2, 5, 4)
    for k in range(2):
        for i in range(5):
            for j in range(4):
                assert values[k, i, j].item() == pytest.approx(raster_overlap(a[k, i], b[k, j]), abs=0.02)


def test_corners_are_cut_at_the_image():
    box = torch.tensor([0.1, 0.5, 0.4, 1.2])
    assert to_corners(box).tolist() == pytest.approx([0.0, 0.0, 0.3, 1.0])
    assert to_corners(box, clip=False).tolist() == pytest.approx([-0.1, -0.1, 0.3, 1.1])


def test_without_suppression_the_highest_scores_win():
    scores = torch.tensor([[0.1, 3.0, -2.0, 1.0]])
    assert most_confident(scores, torch.rand(1, 4, 4), 3).tolist() == [[1, 3, 0]]


def test_suppression_equals_the_loop_and_keeps_the_count():
    torch.manual_seed(0)
    scores, boxes = torch.randn(6, 25), torch.rand(6, 25, 4) * 0.5 + 0.2
    chosen = most_confident(scores, boxes, 12, suppress_above=0.3)
    filled = 0
    for image in range(6):
        kept, refused = [], []
        for cell in scores[image].sort(descending=True).indices.tolist():
            box = boxes[image, cell : cell + 1]
            close = any(overlap(box, boxes[image, k : k + 1]).item() > 0.3 for k in kept)
            (refused if close else kept).append(cell)
        filled += len(kept) < 12
        # Those that the loop keeps come first; the refused, best first, fill up.
        expected = (kept[:12] + refused)[:12]
        assert chosen[image].tolist() == expected
    assert filled  # the fill-up was tested


def test_suppression_takes_any_score():
    scores = torch.tensor([[-torch.inf, torch.inf, 0.0]])
    boxes = torch.tensor([[[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]]])
    assert most_confident(scores, boxes, 3, suppress_above=0.5).tolist() == [[1, 2, 0]]
