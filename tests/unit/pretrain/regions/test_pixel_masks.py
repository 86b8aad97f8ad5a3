"""Masks over pixels and fillings against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from pretrain.regions.pixel_masks import (
    FILLINGS,
    box_pixels,
    cells_as_pixels,
    pixels_as_cells,
    with_parts,
)


def test_a_pixel_counts_by_the_share_that_the_box_covers() -> None:
    # From x 1 to 2.5 and y 0 to 1 of 4 × 2 pixels.
    box = torch.tensor([[1.75 / 4, 0.5 / 2, 1.5 / 4, 1 / 2]])
    assert torch.allclose(box_pixels(box, (2, 4)), torch.tensor([[[0, 1, 0.5, 0], [0, 0, 0, 0.0]]]))
    outside = torch.tensor([[0.0, 0.5, 0.5, 4.0]])
    assert torch.allclose(box_pixels(outside, (2, 4)), torch.tensor([[[1.0, 0, 0, 0]] * 2]))


def test_all_coordinates_have_a_gradient_that_moves_the_edges() -> None:
    boxes = torch.tensor([[0.41, 0.52, 0.33, 0.27]], dtype=torch.float64, requires_grad=True)
    weights = torch.rand(9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda box: (box_pixels(box, (9, 7)) * weights).sum(), boxes)
    box_pixels(boxes, (9, 7)).sum().backward()
    assert boxes.grad is not None
    assert torch.allclose(boxes.grad[0, 2:], torch.tensor([0.27, 0.33], dtype=torch.float64) * 63)


def test_cells_are_their_pixels_and_back() -> None:
    cells = torch.tensor([[1.0, 0, 0.5, 0, 1, 0]])
    pixels = cells_as_pixels(cells, (2, 3), (4, 6))
    assert pixels[0, 0].tolist() == [1, 1, 0, 0, 0.5, 0.5]
    assert torch.allclose(pixels_as_cells(pixels, (2, 3)), cells)


def test_fillings_are_the_median_color_and_an_image_without_edges() -> None:
    image = torch.zeros(1, 3, 16, 16)
    image[:, 1] = 0.5
    image[:, :, 4:10, 4:10] = 1
    median = FILLINGS["median"](image)
    assert median.flatten().tolist() == [0, 0.5, 0]
    blurred = FILLINGS["blur"](image)
    assert blurred.shape == image.shape
    assert blurred.mean() == pytest.approx(float(image.mean()), rel=0.1)
    assert (blurred[..., 1:] - blurred[..., :-1]).abs().max() < 0.15


def test_a_part_is_the_image_under_its_mask() -> None:
    image = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([[[1.0, 0], [0, 0.5]], [[1, 1], [1, 1]]])
    filling = torch.full((1, 3, 1, 1), 0.25)
    parts = with_parts(image, masks, filling)
    assert torch.allclose(parts[1], image[0])
    assert torch.allclose(parts[0, :, 0, 1], torch.tensor([0.25] * 3))
    assert torch.allclose(parts[0, :, 1, 1], (image[0, :, 1, 1] + 0.25) / 2)
