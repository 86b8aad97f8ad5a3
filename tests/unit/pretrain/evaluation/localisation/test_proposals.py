import numpy as np
import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation.proposals import (
    PROPOSERS,
    boxes_of_maps,
    choose_proposer,
    embed_boxes,
    hull_box,
    proposal_options,
)
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.boxes import overlap


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


@pytest.fixture
def opened(region_export, shards):
    encoder = TokenEncoder(region_export)
    return (
        encoder,
        encoder.pixels([next(iter(SampleStream(shards))).image]),
        encoder.texts(["dog", "red car", "cup"]),
    )


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_every_way_gives_boxes_inside_the_image(opened, name):
    encoder, pixels, texts = opened
    found = PROPOSERS[name](encoder, pixels, texts, proposal_options({"evaluations": 16, "regions": 3}), 2)
    assert found.boxes.shape[0] == (1 if name in ("regions", "kmeans", "saliency") else 3)
    assert found.boxes.shape[:2] == found.real.shape == found.confidence.shape
    assert found.real[:, 0].all()
    assert ((found.boxes[..., :2] >= 0) & (found.boxes[..., :2] <= 1)).all()
    assert (found.boxes[..., 2:] > 0).all()


def test_regions_are_the_most_confident_of_the_head(opened):
    encoder, pixels, texts = opened
    with torch.no_grad():
        boxes, logits = encoder.region_generator.every_cell(encoder.patches(pixels))
    order = logits[0].argsort(descending=True)
    found = PROPOSERS["regions"](
        encoder, pixels, texts, proposal_options({"regions": 2, "suppress_above": 1.0}), 1
    )
    torch.testing.assert_close(found.boxes[0], boxes[0, order[:2]])
    torch.testing.assert_close(found.confidence[0], logits[0, order[:2]].sigmoid())
    apart = PROPOSERS["regions"](
        encoder, pixels, texts, proposal_options({"regions": 4, "suppress_above": 0.1}), 1
    )
    assert apart.boxes.shape[1] == 4
    kept: list[int] = []
    for place in order.tolist():
        near = any(float(overlap(boxes[0, [other]], boxes[0, [place]])) > 0.1 for other in kept)
        kept += [] if near else [place]
    assert len(kept) < 4  # some are suppressed, and come last
    torch.testing.assert_close(apart.boxes[0, : len(kept)], boxes[0, kept])


def test_a_box_is_embedded_as_the_image_without_the_rest(opened):
    encoder, pixels, _ = opened
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.5, 0.25, 1.0, 0.5], [0.25, 0.25, 0.4, 0.4]])
    alone = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]])
    torch.testing.assert_close(
        embed_boxes(encoder, pixels, boxes), encoder.masked(pixels, alone), atol=1e-6, rtol=0
    )
    patches = encoder.patches(pixels)[0]
    mean = torch.stack([patches[0], (patches[0] + patches[1]) / 2, patches[0]])
    expected = torch.nn.functional.normalize(mean, dim=-1)
    torch.testing.assert_close(embed_boxes(encoder, pixels, boxes, "patches"), expected, atol=1e-6, rtol=0)
    lost = encoder.masked(pixels, torch.ones(1, 4)) - encoder.masked(pixels, 1 - alone)
    torch.testing.assert_close(embed_boxes(encoder, pixels, boxes, "dropped"), lost, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="allowed are alone, dropped, patches"):
        embed_boxes(encoder, pixels, boxes, "whole")


def test_a_way_is_chosen_by_name(export, region_export):
    without, having = TokenEncoder(export), TokenEncoder(region_export)
    assert choose_proposer(None, without)[0] == "attribution"
    assert choose_proposer(None, having)[0] == "regions"
    with pytest.raises(
        InputError, match="allowed are regions, pixel, kmeans, gradcam, saliency, attribution"
    ):
        choose_proposer("guess", having)
    with pytest.raises(InputError, match=r"no region_head\.safetensors"):
        PROPOSERS["regions"](without, torch.zeros(1, 3, 16, 16), torch.zeros(1, 16), proposal_options({}), 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"box": "round"}, "box is 'round'; allowed are spread, hull"),
        ({"level": 2}, "level is 2"),
        ({"peaks": 1}, "'peaks' is unknown"),
    ],
)
def test_bad_options_are_one_clear_line(options, said):
    with pytest.raises(InputError, match=said):
        proposal_options(options)
