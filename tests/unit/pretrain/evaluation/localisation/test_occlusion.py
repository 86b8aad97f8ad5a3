import pytest
import torch

from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation import EMBEDDINGS
from pretrain.evaluation.localisation.judge import PLAIN, Judge
from pretrain.evaluation.localisation.occlusion import (
    embed_alone,
    embed_dropped,
    embed_ends,
    embed_patches,
)
from pretrain.evaluation.token_encoder import TokenEncoder

KEEP = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]])


@pytest.fixture
def opened(export, shards):
    encoder = TokenEncoder(export)
    return encoder, encoder.pixels([next(iter(SampleStream(shards))).image])


def test_parts_are_embedded_one_by_one(opened):
    encoder, pixels = opened
    whole = encoder.masked(pixels, torch.ones(1, 4))[0]
    patches = encoder.patches(pixels)[0]
    alone, dropped, pooled = (
        way(encoder, pixels, KEEP, PLAIN, 2) for way in (embed_alone, embed_dropped, embed_patches)
    )
    for row, keep in enumerate(KEEP):
        torch.testing.assert_close(alone[row], encoder.masked(pixels, keep[None])[0], atol=1e-6, rtol=0)
        without = encoder.masked(pixels, 1 - keep[None])[0]
        torch.testing.assert_close(dropped[row], whole - without, atol=1e-6, rtol=0)
        mean = sum(patches[cell] for cell in range(4) if keep[cell])
        torch.testing.assert_close(pooled[row], mean / mean.norm(), atol=1e-6, rtol=0)


def test_the_registry_names_them():
    ways = {"alone": embed_alone, "dropped": embed_dropped, "ends": embed_ends, "patches": embed_patches}
    assert ways == EMBEDDINGS


def test_ends_are_the_mean_of_alone_and_lost_by_size(opened):
    encoder, pixels = opened
    found = embed_ends(encoder, pixels, KEEP, Judge("ends", size_exponent=0.5), 3)
    whole, empty = encoder.masked(pixels, torch.tensor([[1.0] * 4, [0.0] * 4]))
    for row, keep in enumerate(KEEP):
        alone, without = encoder.masked(pixels, torch.stack([keep, 1 - keep]))
        expected = (alone - empty + whole - without) / 2 / keep.sum() ** 0.5
        torch.testing.assert_close(found[row], expected, atol=1e-6, rtol=0)
