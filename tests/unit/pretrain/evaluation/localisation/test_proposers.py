import pytest
import torch

from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.boxes import overlap

SHARED = ("regions", "kmeans", "saliency", "parts", "superpixels")
"""What proposes the same boxes for every text."""


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
    assert found.boxes.shape[0] == (1 if name in SHARED else 3)
    assert found.boxes.shape[:2] == found.real.shape == found.confidence.shape
    assert found.real[:, 0].all()
    assert ((found.boxes[..., :2] >= 0) & (found.boxes[..., :2] <= 1)).all()
    assert (found.boxes[..., 2:] > 0).all()


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_every_way_says_what_it_does(name):
    assert PROPOSERS[name].__doc__


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


def test_answers_are_the_heads_boxes_of_the_nearest_cells(opened):
    encoder, pixels, texts = opened
    patches = encoder.patches(pixels)
    with torch.no_grad():
        boxes, _ = encoder.region_generator.every_cell(patches)
    found = PROPOSERS["answers"](encoder, pixels, texts, proposal_options({}), 2)
    for text, own in zip(texts, found.boxes, strict=True):
        order = (patches[0] @ text).argsort(descending=True)
        torch.testing.assert_close(own, boxes[0, order[:2]])
