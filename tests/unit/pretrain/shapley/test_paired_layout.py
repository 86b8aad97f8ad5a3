"""The evaluations of an attribution, against enumeration and the Shapley kernel written out."""

from collections import Counter
from itertools import combinations
from math import comb

import pytest
import torch

from pretrain.shapley.paired_layout import PairedLayout


def laid_out(players, count, weighting="shapley", seed=0, candidates=8):
    return PairedLayout.of(players, count, weighting, torch.Generator().manual_seed(seed), candidates)


def everyone(batch, players):
    return torch.ones(batch, players, dtype=torch.bool)


def sets_of(masks):
    return [frozenset(mask.nonzero().flatten().tolist()) for mask in masks]


@pytest.mark.parametrize("players", [2, 5, 6])
def test_enough_pairs_are_every_coalition_once(players):
    layout = laid_out(everyone(2, players), 2 ** (players - 1) - 1)
    assert layout.complete
    expected = [frozenset(s) for size in range(players + 1) for s in combinations(range(players), size)]
    for masks in layout.coalitions():
        assert Counter(sets_of(masks)) == Counter(expected)


@pytest.mark.parametrize("weighting", ["shapley", "uniform"])
def test_weights_of_all_coalitions_are_the_kernel(weighting):
    """A coalition of size s weighs kernel(s) / C(n, s); a pair has two of equal weight."""
    players = 6
    layout = laid_out(everyone(1, players), 31, weighting)
    for members, weight in zip(sets_of(layout.drawn[0]), layout.weights[0].tolist(), strict=True):
        size = len(members)
        kernel = 1 / (size * (players - size)) if weighting == "shapley" else 1.0
        assert weight == pytest.approx(2 * kernel / comb(players, size))


def test_the_first_sizes_are_enumerated_and_the_rest_is_drawn():
    players, count = 10, 40
    layout = laid_out(everyone(1, players), count)
    assert not layout.complete
    sets = sets_of(layout.drawn[0])
    assert len(sets) == count
    sizes = Counter(min(len(s), players - len(s)) for s in sets)
    assert sizes[1] == 10
    assert len({s for s in sets if len(s) == 1}) == 10
    assert 1 not in {players - len(s) for s in sets}  # no complement of a single player is drawn again
    # 10 single players weigh 2/9, the kernel of sizes 1 and 9; the 30 others share the kernel of sizes 2 to 8.
    assert layout.weights[0, :10].sum().item() == pytest.approx(2 / 9)
    rest = sum(1 / (size * (players - size)) for size in range(2, players - 1))
    assert layout.weights[0, 10:].tolist() == pytest.approx([rest / 30] * 30)


def test_drawn_sizes_follow_the_kernel():
    players, runs = 9, 3000
    layout = laid_out(everyone(runs, players), 8, candidates=1)
    sizes = torch.bincount(layout.drawn.sum(-1).flatten(), minlength=players + 1).double()
    kernel = torch.tensor([1 / (s * (players - s)) if 0 < s < players else 0.0 for s in range(players + 1)])
    expected = kernel / kernel.sum()
    assert ((sizes / sizes.sum() - expected).abs() < 0.01).all()


def test_complements_and_the_two_ends_follow_the_drawn():
    players = torch.tensor([[True] * 7, [True, False, True, True, True, False, True]])
    layout = laid_out(players, 5)
    coalitions = layout.coalitions()
    assert coalitions.shape == (2, 12, 7)
    for image in range(2):
        playing = sets_of(players)[image]
        sets = sets_of(coalitions[image])
        assert [playing - s for s in sets[:5]] == sets[5:10]
        assert sets[10:] == [playing, frozenset()]
        assert all(s <= playing for s in sets)


def test_unpack_takes_half_the_difference_of_each_pair():
    layout = laid_out(everyone(2, 8), 6)
    values = torch.randn(2, 14, 3, dtype=torch.float64)
    unpacked = layout.unpack(values)
    for pair in range(6):
        torch.testing.assert_close(unpacked.difference[:, pair], (values[:, pair] - values[:, pair + 6]) / 2)
    assert torch.equal(unpacked.whole, values[:, 12])
    assert torch.equal(unpacked.empty, values[:, 13])
