"""Random coalitions: the right sizes, uniform given their size, weights that average exactly."""

import math

import pytest
import torch

from pretrain.shapley.coalitions import random_ranks, spread_coalitions, uniform_draws, uniform_size_pairs


@pytest.mark.parametrize("candidates", [1, 8])
def test_given_its_size_a_coalition_is_uniform(candidates):
    """Every subset equally often, whichever draw it is: spreading must not favour any player."""
    runs, players, size = 30_000, 5, 2
    eligible = torch.tensor([True, True, False, True, True, True]).expand(runs, -1)
    sizes = torch.full((runs, 4), size)
    drawn = spread_coalitions(sizes, eligible, torch.Generator().manual_seed(0), candidates)
    assert not drawn[..., 2].any()
    assert (drawn.sum(-1) == size).all()
    for draw in range(4):
        codes = (drawn[:, draw] * 2 ** torch.arange(6)).sum(-1)
        counts = codes.unique(return_counts=True)[1].double()
        assert len(counts) == math.comb(players, size)
        expected = runs / len(counts)
        chi_square = ((counts - expected) ** 2 / expected).sum().item()
        assert chi_square < 33  # 9 degrees of freedom: one in ten thousand


def test_spread_coalitions_are_less_alike():
    eligible = torch.ones(200, 12, dtype=torch.bool)
    sizes = torch.full((200, 10), 6)

    def likeness(candidates):
        drawn = spread_coalitions(sizes, eligible, torch.Generator().manual_seed(0), candidates)
        signs = drawn.double() * 2 - 1
        overlap = (signs @ signs.mT / 12).square()
        return (overlap.sum() - 200 * 10) / (200 * 90)

    assert likeness(16) < 0.6 * likeness(1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("players", [0, 1, 2, 3, 6, 9])
def test_pairs_are_complements_and_weights_sum_to_one(players, count):
    eligible = torch.arange(9).expand(50, -1) < players
    pairs = uniform_size_pairs(eligible, torch.full((50,), count), torch.Generator().manual_seed(1))
    drawn = pairs.weight > 0
    torch.testing.assert_close(pairs.weight.sum(1), torch.ones(50, dtype=torch.float64))
    both = (pairs.coalition | pairs.complement)[drawn]
    assert (both == eligible[:, None].expand_as(pairs.coalition)[drawn]).all()
    assert not (pairs.coalition & pairs.complement).any()


@pytest.mark.parametrize("count", [2, 3, 5, 8, 20])
@pytest.mark.parametrize("players", [1, 4, 7])
def test_sizes_are_uniform(players, count):
    """The weighted frequency of every size 0..n is 1 / (n + 1)."""
    runs = 8000
    eligible = torch.arange(7).expand(runs, -1) < players
    pairs = uniform_size_pairs(eligible, torch.full((runs,), count), torch.Generator().manual_seed(2), 1)
    for size in range(players + 1):
        here = (pairs.coalition.sum(-1) == size).double() + (pairs.complement.sum(-1) == size).double()
        share = pairs.mean(here / 2)
        assert share.mean().item() == pytest.approx(
            1 / (players + 1), abs=5 * share.std().item() / runs**0.5 + 1e-9
        )


def test_without_settled_ends_an_even_count_weighs_all_pairs_alike():
    """And the sizes are uniform still: size 0 is drawn like any other."""
    runs, players = 8000, 4
    eligible = torch.ones(runs, players, dtype=torch.bool)
    generator, ends = torch.Generator().manual_seed(4), torch.zeros(runs, dtype=torch.bool)
    pairs = uniform_size_pairs(eligible, torch.full((runs,), 12), generator, 1, ends=ends)
    torch.testing.assert_close(pairs.weight, torch.full_like(pairs.weight, 1 / 12))
    for size in range(players + 1):
        here = (pairs.coalition.sum(-1) == size).double() + (pairs.complement.sum(-1) == size).double()
        share = pairs.mean(here / 2)
        assert abs(share.mean().item() - 1 / (players + 1)) < 5 * share.std().item() / runs**0.5


def test_counts_may_differ_between_items():
    eligible = torch.ones(3, 6, dtype=torch.bool)
    pairs = uniform_size_pairs(eligible, torch.tensor([2, 9, 4]), torch.Generator().manual_seed(0))
    assert (pairs.weight > 0).sum(1).tolist() == [2, 9, 4]


def test_error_matches_the_spread_of_independent_draws():
    """With candidates=1 the standard error is unbiased: compare with the deviation over many runs."""
    runs = 4000
    eligible = torch.ones(runs, 8, dtype=torch.bool)
    pairs = uniform_size_pairs(eligible, torch.full((runs,), 6), torch.Generator().manual_seed(3), 1)
    weight = torch.linspace(-1, 2, 8)

    def value(coalition):
        return (coalition * weight).sum(-1).double().square()

    values = (value(pairs.coalition) + value(pairs.complement)) / 2
    claimed = pairs.error(values).square().mean().sqrt().item()
    assert claimed == pytest.approx(pairs.mean(values).std().item(), rel=0.06)


def test_a_single_draw_has_no_known_error():
    eligible = torch.ones(1, 8, dtype=torch.bool)
    pairs = uniform_size_pairs(eligible, torch.tensor([1]), torch.Generator().manual_seed(0))
    assert pairs.error(torch.ones(1, 1, dtype=torch.float64)).isinf().all()


def test_ranks_put_everyone_else_last():
    eligible = torch.tensor([[True, False, True, False, True]])
    ranks = random_ranks((1,), eligible, torch.Generator().manual_seed(0))
    assert sorted(ranks[eligible].tolist()) == [0, 1, 2]
    assert ranks[~eligible].min() == 3


def test_draws_are_those_of_the_generator():
    drawn = uniform_draws((2, 3), torch.Generator().manual_seed(4), torch.device("cpu"))
    assert torch.equal(drawn, torch.rand(2, 3, generator=torch.Generator().manual_seed(4)))
