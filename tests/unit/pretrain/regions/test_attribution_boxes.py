"""Connected cells against a flood fill, boxes against rectangles that are known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.regions.attribution_boxes import connected_cells, spread_box


def flood(values: list[float], rows: int, columns: int, level: float) -> set[int]:
    start = max(range(len(values)), key=lambda cell: values[cell])
    found, waiting = {start}, [start]
    while waiting:
        row, column = divmod(waiting.pop(), columns)
        for r in range(max(0, row - 1), min(rows, row + 2)):
            for c in range(max(0, column - 1), min(columns, column + 2)):
                cell = r * columns + c
                if cell not in found and values[cell] > 0 and values[cell] >= level * values[start]:
                    found.add(cell)
                    waiting.append(cell)
    return found


@given(st.integers(0, 10_000), st.sampled_from([(3, 5), (7, 7), (1, 4)]), st.sampled_from([0.1, 0.5, 0.9]))
@settings(deadline=None, max_examples=60)
def test_connected_cells_are_a_flood_fill(seed, grid, level):
    rows, columns = grid
    values = torch.randn(4, rows * columns, generator=torch.Generator().manual_seed(seed))
    got = connected_cells(values, grid, level)
    for row in range(4):
        assert set(got[row].nonzero().flatten().tolist()) == flood(values[row].tolist(), rows, columns, level)


@pytest.mark.parametrize(("top", "left", "height", "width"), [(1, 2, 3, 4), (0, 0, 1, 1), (2, 5, 5, 2)])
def test_an_even_rectangle_gives_its_own_box(top, left, height, width):
    values = torch.zeros(7, 7)
    values[top : top + height, left : left + width] = 0.4
    flat = values.flatten()[None]
    box = spread_box(flat, flat > 0, (7, 7), deviations=3**0.5)[0]
    expected = torch.tensor([left + width / 2, top + height / 2, width, height]) / 7
    torch.testing.assert_close(box, expected, atol=1e-5, rtol=0)


def test_cells_outside_the_component_do_not_pull():
    values = torch.zeros(7, 7)
    values[1:3, 1:3] = 1.0
    values[6, 6] = 0.9
    flat = values.flatten()[None]
    cells = connected_cells(flat, (7, 7))
    box = spread_box(flat, cells, (7, 7), deviations=3**0.5)[0]
    torch.testing.assert_close(box, torch.tensor([2.0, 2.0, 2.0, 2.0]) / 7, atol=1e-5, rtol=0)
