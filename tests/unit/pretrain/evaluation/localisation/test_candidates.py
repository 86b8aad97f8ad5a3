import numpy as np
import pytest
import torch

from pretrain.evaluation.localisation.candidates import boxes_of_maps, hull_box, shared_by_texts


def test_hull_is_the_smallest_box_of_the_cells():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        cells = torch.rand(15, generator=generator) < 0.15
        cells[torch.randint(0, 15, (1,), generator=generator)] = True
        rows, columns = np.nonzero(cells.view(3, 5).numpy())
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        expected = [(left + right) / 10, (top + bottom) / 6, (right - left) / 5, (bottom - top) / 3]
        assert hull_box(cells, (3, 5)).tolist() == pytest.approx(expected)


def test_peaks_are_found_one_after_the_other():
    plane = torch.zeros(2, 6, 6)
    plane[0, 1:3, 1:3] = 1.0  # a square, then a smaller peak of 0.6 that touches nothing
    plane[0, 4, 3:6] = 0.6
    plane[1] = -1.0  # nothing positive: the greatest cell
    plane[1, 5, 0] = -0.5
    found = boxes_of_maps(plane.flatten(1), (6, 6), 3, 0.5, "hull")
    assert found.real.tolist() == [[True, True], [True, False]]
    assert found.boxes[0, 0].tolist() == pytest.approx([2 / 6, 2 / 6, 2 / 6, 2 / 6])
    assert found.boxes[0, 1].tolist() == pytest.approx([4.5 / 6, 4.5 / 6, 3 / 6, 1 / 6])
    assert found.boxes[1, 0].tolist() == pytest.approx([0.5 / 6, 5.5 / 6, 1 / 6, 1 / 6])
    assert boxes_of_maps(plane.flatten(1), (6, 6), 3, 0.7, "hull").boxes.shape[1] == 1
    # An even spread over cells gives back their box.
    spread = boxes_of_maps(plane.flatten(1), (6, 6), 1, 0.5, "spread")
    torch.testing.assert_close(spread.boxes[0, 0], found.boxes[0, 0], atol=2e-3, rtol=0)


def test_boxes_in_pixels_become_fractions_and_none_the_whole_image():
    pixels = torch.zeros(1, 3, 10, 20)
    found = shared_by_texts(np.array([[0, 0, 20, 10], [4, 5, 10, 7]]), pixels)
    torch.testing.assert_close(found.boxes, torch.tensor([[[0.5, 0.5, 1, 1], [0.35, 0.6, 0.3, 0.2]]]))
    assert found.real.tolist() == [[True, True]]
    assert found.confidence.tolist() == [[1, 1]]
    assert shared_by_texts(np.zeros((0, 4), int), pixels).boxes.tolist() == [[[0.5, 0.5, 1, 1]]]
