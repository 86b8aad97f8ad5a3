import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.regions.soft_mask import cell_centres, hard_mask, pool, soft_mask

sides = st.floats(1e-4, 1.5)
places = st.floats(0.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(x=places, y=places, w=sides, h=sides, rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_hard_mask_is_the_cells_whose_centre_is_inside_and_never_empty(x, y, w, h, rows, columns):
    mask = hard_mask(torch.tensor([[x, y, w, h]], dtype=torch.float64), (rows, columns))[0]
    assert mask.any()
    for cell in range(rows * columns):
        row, column = divmod(cell, columns)
        dx, dy = abs((column + 0.5) / columns - x), abs((row + 0.5) / rows - y)
        holds_centre = (row, column) == (min(int(y * rows), rows - 1), min(int(x * columns), columns - 1))
        if min(abs(dx - w / 2), abs(dy - h / 2)) > 1e-9:  # on the very edge either answer is right
            assert mask[cell].item() == ((dx <= w / 2 and dy <= h / 2) or holds_centre)


def test_centres_run_row_by_row():
    centres = cell_centres((2, 4), torch.zeros(()))
    assert centres[1].tolist() == [0.375, 0.25]
    assert centres[4].tolist() == [0.125, 0.75]


def test_soft_mask_agrees_with_the_hard_one_away_from_edges():
    torch.manual_seed(0)
    boxes = torch.cat([torch.rand(200, 2), 0.25 + 0.5 * torch.rand(200, 2)], 1)
    soft, hard = soft_mask(boxes, (8, 8), 0.05), hard_mask(boxes, (8, 8))
    away = (cell_centres((8, 8), boxes) - boxes[:, None, :2]).abs() - boxes[:, None, 2:] / 2
    clear = (away.abs() * 8 > 0.3).all(-1)
    assert ((soft > 0.5) == hard)[clear].all()
    assert soft[clear & hard].min() > 0.95
    assert soft[clear & ~hard].max() < 0.05
    assert clear.float().mean() > 0.2
    assert soft.max() <= 1 + 1e-6


def test_soft_mask_moves_with_each_coordinate():
    box = torch.tensor([[0.5, 0.5, 0.4, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: soft_mask(b, (5, 7)), box)
    right = torch.zeros(5, 7, dtype=torch.float64)
    right[:, 4:] = 1
    (soft_mask(box, (5, 7))[0] * right.flatten()).sum().backward()
    assert box.grad[0, 0] > 0  # towards the cells that count
    assert box.grad[0, 2] > 0  # and wider


def test_a_one_cell_box_is_not_fainter_than_a_wide_one():
    boxes = torch.tensor([[0.5, 0.5, 1 / 7, 1 / 7], [0.5, 0.5, 5 / 7, 5 / 7]])
    at_middle = soft_mask(boxes, (7, 7))[:, 24]
    assert at_middle.tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_pooling_one_cell_gives_that_cell():
    torch.manual_seed(0)
    patches = torch.nn.functional.normalize(torch.randn(2, 4, 3), dim=-1)
    masks = torch.eye(4).expand(2, 4, 4)
    torch.testing.assert_close(pool(patches, masks), patches)
    mean = pool(patches, torch.full((2, 1, 4), 0.3))[:, 0]
    torch.testing.assert_close(mean, torch.nn.functional.normalize(patches.mean(1), dim=-1))
