"""What a region takes with it, against the same coalitions by hand."""

import torch

from pretrain.shapley.absence import absence


def test_is_the_loss_of_everyone_else(referee):
    players = 7
    table = referee.Table(players, seed=3)
    regions = torch.zeros(2, 3, players, dtype=torch.bool)
    regions[:, 0, [1, 4]] = True
    regions[:, 1, [0, 2, 6]] = True  # the third holds nobody
    others = torch.ones(2, players, dtype=torch.bool)
    others[1, [5, 6]] = False  # padding of the second game, one of them in a region
    found = absence(table, regions, others)
    for game, there in enumerate(({0, 1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 4})):
        for number, region in enumerate(({1, 4}, {0, 2, 6}, set())):
            expected = table.of(there) - table.of(there - region)
            torch.testing.assert_close(float(found[game, number]), float(expected))
    assert not found[:, 2].any()
