"""What stands out, in pictures small enough to say by hand."""

import pytest
import torch
from torch.nn import functional as F

from pretrain.regions.saliency import parts_of_phrases, saliency, salient_parts

GRID = (3, 4)


def test_the_odd_cells_stand_out():
    patches = F.normalize(torch.tensor([1.0, 0.0]).repeat(2, 12, 1), dim=-1)
    patches[0, 5] = torch.tensor([0.0, 1.0])
    values = saliency(patches)
    assert values[0].argmax() == 5
    assert values[0].sum().item() == pytest.approx(0, abs=1e-5)
    assert values[1].abs().max() < 1e-6  # nothing stands out of a plain image
    middle = F.normalize(patches[0].mean(0), dim=0)
    away = torch.tensor([1 - float(one @ middle) for one in patches[0]])
    torch.testing.assert_close(values[0], away - away.mean())


def test_parts_hang_together_and_come_by_their_peak():
    image = torch.tensor([[0.9, 0.6, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0], [0.0, 0.0, 0.7, 0.8]])
    parts, real = salient_parts(image.reshape(1, 12), GRID, count=3)
    assert real[0].tolist() == [True, True, False]
    assert parts[0, 0].nonzero().flatten().tolist() == [0, 1]
    assert parts[0, 1].nonzero().flatten().tolist() == [10, 11]
    assert not (parts[0, 0] & parts[0, 1]).any()


def test_a_phrase_takes_the_part_with_most_of_it_however_high_one_cell_is():
    parts = torch.zeros(1, 3, 12, dtype=torch.bool)
    parts[0, 0, :2], parts[0, 1, 10:], parts[0, 2, 5] = True, True, True
    real = torch.tensor([[True, True, False]])
    attributions = torch.zeros(1, 2, 12)
    attributions[0, 0, [0, 1, 10]] = torch.tensor([0.3, 0.3, 0.5])
    attributions[0, 1, [5, 11]] = torch.tensor([9.0, 0.2])  # cell 5 belongs to no part that is there
    cells, held = parts_of_phrases(attributions, parts, real)
    assert torch.equal(cells[0, 0], parts[0, 0])
    assert torch.equal(cells[0, 1], parts[0, 1])
    torch.testing.assert_close(held, torch.tensor([[0.6, 0.2]]))


def test_without_any_part_nothing_is_held():
    cells, held = parts_of_phrases(
        torch.ones(1, 1, 12), torch.zeros(1, 2, 12, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.bool)
    )
    assert held.item() == -torch.inf
    assert not cells.any()
