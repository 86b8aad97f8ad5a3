import pytest
import torch
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.models.region_generator import RegionGenerator
from pretrain.regions.boxes import overlap
from pretrain.regions.soft_mask import hard_mask, pool, soft_mask


def generator(regions=5, grid=(4, 6), **options):
    torch.manual_seed(0)
    head = RegionGenerator(8, grid, regions, width=16, **options)
    torch.nn.init.normal_(head.out.weight, std=1.0)  # boxes that differ
    return head, F.normalize(torch.randn(3, grid[0] * grid[1], 8), dim=-1)


def test_shapes_and_ranges():
    head, patches = generator()
    regions = head(patches)
    assert regions.boxes.shape == (3, 5, 4)
    assert regions.confidence_logits.shape == regions.cells.shape == (3, 5)
    assert regions.soft_masks.shape == regions.hard_masks.shape == (3, 5, 24)
    assert regions.embeddings.shape == (3, 5, 8)
    torch.testing.assert_close(regions.embeddings.norm(dim=-1), torch.ones(3, 5))
    assert regions.hard_masks.any(-1).all()
    assert (regions.boxes > 0).all()
    assert (regions.boxes <= 1).all()


def test_each_centre_lies_in_its_own_cell():
    head, patches = generator()
    boxes, _ = head.every_cell(patches)
    for cell in range(24):
        row, column = divmod(cell, 6)
        x, y = boxes[:, cell, 0], boxes[:, cell, 1]
        assert ((x >= column / 6 - 1e-6) & (x <= (column + 1) / 6 + 1e-6)).all()
        assert ((y >= row / 4 - 1e-6) & (y <= (row + 1) / 4 + 1e-6)).all()
    regions = head(patches)
    torch.testing.assert_close(
        regions.boxes, torch.stack([b[c] for b, c in zip(boxes, regions.cells, strict=True)])
    )


def test_the_most_confident_are_chosen_in_order():
    head, patches = generator()
    _, logits = head.every_cell(patches)
    torch.testing.assert_close(head(patches).confidence_logits, logits.sort(1, descending=True).values[:, :5])


def test_suppression_leaves_no_close_pair_among_those_it_keeps():
    head, patches = generator(suppress_above=0.2, smallest=1.0, initial=1.5)
    torch.nn.init.normal_(head.out.weight, std=0.1)
    boxes = head(patches).boxes
    mutual = overlap(boxes, boxes) - torch.eye(5)
    assert mutual.max() <= 0.2
    plain, _ = generator(smallest=1.0, initial=1.5)
    plain.load_state_dict(head.state_dict())
    boxes = plain(patches).boxes
    assert (overlap(boxes, boxes) - torch.eye(5)).max() > 0.2


def test_boxes_start_at_the_size_asked_for():
    torch.manual_seed(0)
    head = RegionGenerator(8, (7, 7), 4, initial=2.0)
    boxes, _ = head.every_cell(F.normalize(torch.randn(2, 49, 8), dim=-1))
    assert boxes[..., 2:].mean().item() * 7 == pytest.approx(2.0, abs=0.1)


def test_gradients_reach_boxes_and_confidences():
    head, patches = generator()
    regions = head(patches)
    target = F.normalize(torch.randn(8), dim=0)
    (regions.embeddings @ target).sum().backward(retain_graph=True)
    assert head.out.weight.grad[:4].abs().sum(1).min() > 0
    assert head.out.weight.grad[4].abs().sum() == 0  # a confidence moves only by its own loss
    head.zero_grad()
    regions.confidence_logits.sum().backward()
    assert head.out.weight.grad[4].abs().sum() > 0
    assert head.out.weight.grad[:4].abs().sum() == 0


def test_boxes_can_be_moved_onto_an_object_by_their_embedding():
    """One patch direction fills columns 3 to 5 of rows 1 to 2: ascent on the embedding's match finds that block."""
    torch.manual_seed(0)
    marked, other = torch.eye(8)[0], torch.eye(8)[1]
    patches = other.repeat(1, 24, 1).clone()
    block = [row * 6 + column for row in (1, 2) for column in (3, 4, 5)]
    patches[0, block] = marked
    box = torch.tensor([[[0.55, 0.45, 0.3, 0.5]]], requires_grad=True)
    optimiser = torch.optim.Adam([box], lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        soft = soft_mask(box, (4, 6))
        inside = soft[0, 0, block].sum() / 6
        (-(pool(patches, soft)[0, 0] @ marked) - 0.5 * inside).backward()
        optimiser.step()
    assert sorted(hard_mask(box, (4, 6))[0, 0].nonzero().flatten().tolist()) == block


@pytest.mark.parametrize("regions", [0, 25])
def test_more_regions_than_cells_are_refused(regions):
    with pytest.raises(
        InputError, match=rf"regions is {regions}; allowed are 1 to 24, the cells of the 4×6 map"
    ):
        RegionGenerator(8, (4, 6), regions)


def test_all_cells_may_be_regions_and_a_map_of_one_cell_works():
    head, patches = generator(regions=24)
    assert head(patches).cells.sort(1).values.tolist() == [list(range(24))] * 3
    one, patch = generator(regions=1, grid=(1, 1))
    assert one(patch).hard_masks.all()


def test_bf16_parameters_take_tokens_of_any_precision():
    head, patches = generator()
    low = head.bfloat16()
    regions = low(patches)
    assert regions.boxes.dtype == torch.float32
    assert torch.equal(low(patches.bfloat16()).boxes, regions.boxes)
