import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.token_encoder import TokenEncoder


@pytest.fixture
def opened(region_export, shards):
    encoder = TokenEncoder(region_export)
    return (
        encoder,
        encoder.pixels([next(iter(SampleStream(shards))).image]),
        encoder.texts(["dog", "red car", "cup"]),
    )


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
    torch.testing.assert_close(
        embed_boxes(encoder, pixels, boxes, Judge("patches")), expected, atol=1e-6, rtol=0
    )
    lost = encoder.masked(pixels, torch.ones(1, 4)) - encoder.masked(pixels, 1 - alone)
    torch.testing.assert_close(embed_boxes(encoder, pixels, boxes, Judge("dropped")), lost, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="allowed are alone, dropped, ends, patches"):
        embed_boxes(encoder, pixels, boxes, Judge("whole"))
