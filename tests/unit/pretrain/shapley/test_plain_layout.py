"""The evaluations of independent draws, against eq. 6 and 7 written out."""

import pytest
import torch

from pretrain.shapley.plain_layout import PlainLayout, evaluations_per_draw

PLAYERS = 8
REGIONS = [[2], [1, 4, 6], [0, 3, 5, 7], []]


def laid_out(budget, shared, seed=0):
    members = torch.zeros(len(REGIONS), PLAYERS, dtype=torch.bool)
    for row, region in enumerate(REGIONS):
        members[row, region] = True
    return PlainLayout.of(members, ~members, budget, torch.Generator().manual_seed(seed), shared=shared)


def value_of(members):
    """A game with interactions of every order."""
    return sum((player + 1) ** 0.5 for player in members) ** 2 + (1.7 if {1, 4} <= members else 0.0)


def evaluated(layout):
    """The game's value of every coalition, and what an unused evaluation might hold."""
    sets = [[set(mask.nonzero().flatten().tolist()) for mask in item] for item in layout.coalitions()]
    values = torch.tensor([[value_of(members) for members in item] for item in sets], dtype=torch.float64)
    return sets, torch.where(layout.used, values, 1e9)


@pytest.mark.parametrize(("shared", "expected"), [(False, [4, 8, 10, 2]), (True, [3, 5, 6, 2])])
def test_a_draw_costs_two_values_per_term_or_two_and_the_members(shared, expected):
    size = torch.tensor([len(region) for region in REGIONS])
    assert evaluations_per_draw(size, shared=shared).tolist() == expected


def test_independent_draws_are_differences_of_two_values():
    layout = laid_out(43, shared=False)
    sets, values = evaluated(layout)
    draws = layout.unpack(values)
    assert layout.terms == 5
    for item, region in enumerate(REGIONS):
        count = 43 // (2 * (len(region) + 1))
        assert layout.count[item] == count
        assert layout.used[item].sum() == count * 2 * (len(region) + 1)
        for draw in range(count):
            for term in range(len(region) + 1):
                place = (draw * (len(region) + 1) + term) * 2
                base, filled = sets[item][place], sets[item][place + 1]
                assert not base & set(region)
                assert filled == base | (set(region) if term == 0 else {region[term - 1]})
                gain = value_of(filled) - value_of(base)
                assert draws.value[item, term, draw].item() == pytest.approx(gain if term == 0 else 0.0)
                assert draws.interaction[item, term, draw].item() == pytest.approx(
                    gain if term == 0 else -gain
                )
        assert not draws.interaction[item, :, count:].any()
        assert not draws.interaction[item, len(region) + 1 :].any()


def test_shared_draws_are_equation_seven():
    layout = laid_out(43, shared=True)
    sets, values = evaluated(layout)
    draws = layout.unpack(values)
    assert layout.terms == 1
    for item, region in enumerate(REGIONS):
        step = len(region) + 2
        assert layout.count[item] == 43 // step
        for draw in range(43 // step):
            base = sets[item][draw * step]
            together = value_of(base | set(region))
            alone = sum(value_of(base | {player}) for player in region)
            expected = together - alone + (len(region) - 1) * value_of(base)
            assert draws.interaction[item, 0, draw].item() == pytest.approx(expected)
            assert draws.value[item, 0, draw].item() == pytest.approx(together - value_of(base))
            assert sets[item][draw * step + 1] == base | set(region)
            assert not base & set(region)


@pytest.mark.parametrize("shared", [False, True])
def test_sizes_of_the_coalitions_are_uniform(shared):
    """Region [1, 4, 6] plays against 5 others: sizes 0 to 5 with probability 1/6."""
    layout = laid_out(20_000, shared=shared)
    sizes = layout.base[1][layout.used[1]].sum(-1)
    share = torch.bincount(sizes, minlength=6) / len(sizes)
    # A draw's evaluations share one coalition: at least 4,000 draws.
    assert (share - 1 / 6).abs().max() < 5 * (5 / 36 / 4000) ** 0.5
