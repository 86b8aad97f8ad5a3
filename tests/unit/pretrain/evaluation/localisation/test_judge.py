"""What a judge shows the tower of a box."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.token_encoder import TokenEncoder

BOX = torch.tensor([[0.25, 0.25, 0.6, 0.4]])  # the first of 2 × 2 cells, and a little of the second


@pytest.fixture
def opened(export, shards):
    encoder = TokenEncoder(export)
    return encoder, encoder.pixels([next(iter(SampleStream(shards))).image])


def test_cells_are_taken_by_their_centre_or_by_a_touch(opened) -> None:
    encoder, pixels = opened
    assert Judge().masks(encoder, pixels, BOX).tolist() == [[1, 0, 0, 0]]
    assert Judge(cover="touched").masks(encoder, pixels, BOX).tolist() == [[1, 1, 0, 0]]
    edge = torch.tensor([[0.25, 0.25, 0.5, 0.5]])
    assert Judge(cover="touched").masks(encoder, pixels, edge).tolist() == [[1, 0, 0, 0]]


def test_the_rest_is_filled_in_the_picture(opened) -> None:
    encoder, pixels = opened
    median = pixels.flatten(2).median(-1).values[..., None, None].expand_as(pixels).clone()
    half = pixels.shape[-1] // 2
    touched = median.clone()
    touched[:, :, :half] = pixels[:, :, :half]
    found = embed_boxes(encoder, pixels, BOX, Judge(cover="touched", fill="median"))
    torch.testing.assert_close(found, encoder.dual.encode_image(touched)[0], atol=1e-6, rtol=0)
    whole = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    for fill in ("median", "blur"):
        found = embed_boxes(encoder, pixels, whole, Judge(cover="pixels", fill=fill))
        torch.testing.assert_close(found, encoder.dual.encode_image(pixels)[0], atol=1e-5, rtol=0)
        lost = embed_boxes(encoder, pixels, whole, Judge("dropped", "pixels", fill))
        assert lost.abs().max() > 1e-3


def test_equal_boxes_of_pixels_are_embedded_alike_and_in_their_order(opened) -> None:
    encoder, pixels = opened
    boxes = torch.cat([BOX, torch.tensor([[0.7, 0.7, 0.2, 0.2]]), BOX])
    judge = Judge(cover="pixels", fill="median")
    found = embed_boxes(encoder, pixels, boxes, judge)
    assert torch.equal(found[0], found[2])
    torch.testing.assert_close(found[1:2], embed_boxes(encoder, pixels, boxes[1:2], judge), atol=1e-6, rtol=0)


def test_embeddings_may_be_the_maximum_of_the_tokens(opened) -> None:
    encoder, pixels = opened
    keep = torch.tensor([[1.0, 0, 0, 0]])
    patches = encoder.dual.encode_image(pixels, keep)[1]
    found = embed_boxes(encoder, pixels, torch.tensor([[0.25, 0.25, 0.5, 0.5]]), Judge(pooling="max_pooled"))
    torch.testing.assert_close(found, F.normalize(patches.amax(1), dim=-1), atol=1e-6, rtol=0)
    ids = encoder.tokenized(["a red dog"])
    words = encoder.dual.encode_text(ids["input_ids"], ids["attention_mask"])[1][:, 1:-1]
    texts = encoder.texts(["a red dog"], pooling="max_pooled")
    torch.testing.assert_close(texts, F.normalize(words.amax(1), dim=-1), atol=1e-6, rtol=0)


def test_patches_of_a_box_of_pixels_count_by_their_share(opened) -> None:
    encoder, pixels = opened
    box = torch.tensor([[0.375, 0.25, 0.75, 0.5]])  # one cell and half of the next
    patches = encoder.patches(pixels)[0]
    expected = F.normalize(patches[0] + patches[1] / 2, dim=-1)
    found = embed_boxes(encoder, pixels, box, Judge("patches", "pixels"))[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cover": "some"}, "cover is 'some'; allowed are centre, touched, pixels"),
        ({"fill": "grey"}, "fill is 'grey'; allowed are zero, median, blur"),
        ({"pooling": "mean"}, "pooling is 'mean'; allowed are embedding, max_pooled"),
        ({"cover": "pixels"}, "fill is zero with cover: pixels, but a patch is zeroed whole"),
    ],
)
def test_what_a_judge_cannot_do_is_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        Judge(**options)
