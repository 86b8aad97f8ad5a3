from itertools import permutations

import pytest
import torch

from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation.attribution_maps import attribution_maps
from pretrain.evaluation.token_encoder import TokenEncoder


def test_maps_are_shapley_values_of_the_masked_image(export, shards):
    encoder = TokenEncoder(export)
    pixels = encoder.pixels([next(iter(SampleStream(shards))).image])
    texts = encoder.texts(["red umbrella", "blue fish"])
    expected = torch.zeros(2, 4)
    orders = list(permutations(range(4)))
    for order in orders:
        keep = torch.zeros(5, 4)
        for step, cell in enumerate(order):
            keep[step + 1 :, cell] = 1
        values = texts @ encoder.masked(pixels, keep).T
        for step, cell in enumerate(order):
            expected[:, cell] += (values[:, step + 1] - values[:, step]) / len(orders)
    assert expected.abs().max() > 1e-3
    found = attribution_maps(encoder, pixels, texts, evaluations=16, ridge=0.0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    rough = attribution_maps(encoder, pixels, texts, evaluations=12, ridge=0.0, seed=1)
    assert torch.equal(rough, attribution_maps(encoder, pixels, texts, evaluations=12, ridge=0.0, seed=1))
    whole, empty = (texts @ encoder.masked(pixels, keep).T for keep in (torch.ones(1, 4), torch.zeros(1, 4)))
    assert rough.sum(1).tolist() == pytest.approx((whole - empty)[:, 0].tolist(), abs=1e-5)
