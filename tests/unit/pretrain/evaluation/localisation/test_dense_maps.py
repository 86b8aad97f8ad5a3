import math

import pytest
import torch
from random_export import random_export
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.localisation.dense_maps import (
    maskclip_maps,
    naclip_maps,
    neighbourhood,
    sclip_maps,
)
from pretrain.evaluation.token_encoder import TokenEncoder

MAPS = {"maskclip": maskclip_maps, "sclip": sclip_maps, "naclip": naclip_maps}


@pytest.fixture
def opened(tmp_path):
    """A ViT of two blocks over 3 × 3 patches, with weights larger than those that it starts with."""
    encoder = TokenEncoder(random_export(tmp_path, image_size=24, depths=[2]))
    torch.manual_seed(1)
    for parameter in encoder.dual.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder, torch.randn(1, 3, 24, 24), F.normalize(torch.randn(2, 16), dim=-1)


def softmaxed(values):
    shares = [math.exp(value - max(values)) for value in values]
    return [share / sum(shares) for share in shares]


def weight_rows(name, queries, keys):
    """Weights of each token of one head, number by number."""
    scale, count = queries.shape[1] ** -0.5, len(queries)

    def alike(vectors, one):
        return [float(vectors[one] @ vectors[other]) * scale for other in range(count)]

    def closeness(one, other):
        if 0 in (one, other):
            return 0.0
        (y, x), (down, across) = divmod(one - 1, 3), divmod(other - 1, 3)
        return math.exp(-((y - down) ** 2 + (x - across) ** 2) / 50)

    rows = []
    for one in range(count):
        if name == "maskclip":
            rows.append([float(one == other) for other in range(count)])
        elif name == "sclip":
            both = zip(softmaxed(alike(queries, one)), softmaxed(alike(keys, one)), strict=True)
            rows.append([a + b for a, b in both])
        else:
            near = [closeness(one, other) for other in range(count)]
            rows.append(softmaxed([a + b for a, b in zip(alike(keys, one), near, strict=True)]))
    return torch.tensor(rows)


@pytest.mark.parametrize("name", MAPS)
def test_the_last_block_attends_by_the_papers_weights(opened, name):
    encoder, pixels, texts = opened
    tower = encoder.dual.vision_model
    with torch.no_grad():
        tokens = tower.layers[0](tower.embeddings(pixels))[0]
        block = tower.layers[1]
        normed = block.layernorm_before(tokens)
        queries, keys, values = (
            part(normed) for part in (block.attention.q_proj, block.attention.k_proj, block.attention.v_proj)
        )
        heads = [slice(0, 8), slice(8, 16)]
        mixed = [weight_rows(name, queries[:, head], keys[:, head]) @ values[:, head] for head in heads]
        out = block.attention.o_proj(torch.cat(mixed, 1))
        if name != "naclip":
            out = out + tokens
            out = out + block.mlp(block.layernorm_after(out))
        patches = F.normalize(encoder.dual.visual_projection(tower.layernorm(out)[1:]), dim=-1)
    expected = texts @ patches.T
    expected -= expected.mean(1, keepdim=True)
    assert expected.abs().amax() > 0.01
    torch.testing.assert_close(MAPS[name](encoder, pixels, texts), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MAPS)
def test_the_tower_is_as_it_was_afterwards(opened, name):
    encoder, pixels, texts = opened
    before = encoder.patches(pixels)
    MAPS[name](encoder, pixels, texts)
    torch.testing.assert_close(encoder.patches(pixels), before)


def test_neighbours_count_more_the_nearer_they_are():
    table = neighbourhood((2, 3), deviation=2.0)
    assert table.shape == (7, 7)
    assert table[0].tolist() == table[:, 0].tolist() == [0] * 7
    assert float(table[1, 1]) == 1
    assert float(table[1, 6]) == pytest.approx(math.exp(-5 / 8))  # one row and two columns away


@pytest.mark.parametrize("kind", ["swin", "focalnet"])
@pytest.mark.parametrize("name", MAPS)
def test_towers_without_such_an_attention_are_one_clear_line(tmp_path, kind, name):
    shape = {"patch_size": 4, "depths": [1, 1], "heads": [1, 2], "window": 2, "width": 8}
    encoder = TokenEncoder(random_export(tmp_path, kind=kind, **shape))
    with pytest.raises(
        InputError, match=f"proposals is '{name}'.*tower is {kind}; allowed are exports with vit"
    ):
        MAPS[name](encoder, torch.zeros(1, 3, 16, 16), torch.zeros(1, 16))
