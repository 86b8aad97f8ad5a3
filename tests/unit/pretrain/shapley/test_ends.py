"""The first and the last term of a region's value, against the same coalitions by hand."""

import torch

from pretrain.shapley.ends import embedding_ends, ends


def test_is_the_mean_of_joining_nobody_and_everybody(referee):
    players = 7
    table = referee.Table(players, seed=5)
    regions = torch.zeros(2, 3, players, dtype=torch.bool)
    regions[:, 0, [1, 4]] = True
    regions[:, 1, [0, 2, 6]] = True  # the third holds nobody
    others = torch.ones(2, players, dtype=torch.bool)
    others[1, [5, 6]] = False  # padding of the second game, one of them in a region
    found = ends(table, regions, others)
    for game, there in enumerate(({0, 1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 4})):
        for number, region in enumerate(({1, 4}, {0, 2, 6}, set())):
            first = table.of(region & there) - table.of(set())
            last = table.of(there) - table.of(there - region)
            torch.testing.assert_close(float(found[game, number]), float(first + last) / 2)
    assert not found[:, 2].any()


def test_embeddings_give_the_values_of_every_text():
    generator = torch.Generator().manual_seed(0)
    weights, texts = torch.randn(6, 4, generator=generator), torch.randn(3, 4, generator=generator)

    def embed(masks: torch.Tensor) -> torch.Tensor:
        return (masks @ weights).tanh()

    masks = torch.rand(2, 5, 6, generator=generator)
    found = embedding_ends(embed, masks) @ texts.T
    whole, nobody = torch.ones(2, 1, 6), torch.zeros(2, 1, 6)
    for number, text in enumerate(texts):
        first = (embed(masks) - embed(nobody)) @ text
        last = (embed(whole) - embed(1 - masks)) @ text
        torch.testing.assert_close(found[..., number], (first + last) / 2)
