"""The evaluations of merged-player interactions, against loops over sets."""

import pytest
import torch

from pretrain.shapley.coalitions import uniform_size_pairs
from pretrain.shapley.members import assign_turns
from pretrain.shapley.merged_layout import MergedLayout

PLAYERS = 9
REGIONS = [[0], [1, 4, 6], [], [0, 2, 3, 5, 7, 8], list(range(9))]


def laid_out(budget, seed=0, members_alone=True):
    members = torch.zeros(len(REGIONS), PLAYERS, dtype=torch.bool)
    for row, region in enumerate(REGIONS):
        members[row, region] = True
    generator = torch.Generator().manual_seed(seed)
    turns = assign_turns(members.sum(-1), budget, generator, members_alone=members_alone)
    pairs = uniform_size_pairs(~members, turns.count, generator)
    return MergedLayout.of(pairs, members, turns, budget), turns


def as_set(mask):
    return frozenset(mask.nonzero().flatten().tolist())


def wanted(layout, turns, item):
    """(pair, side, what is added, coalition) of every wanted evaluation, in order."""
    region = REGIONS[item]
    entries = []
    for pair in range(int(turns.count[item])):
        for side, base in enumerate((layout.pairs.coalition, layout.pairs.complement)):
            drawn = as_set(base[item, pair])
            entries.append((pair, side, "base", drawn))
            entries.append((pair, side, "region", drawn | set(region)))
            for number, player in enumerate(region):
                if turns.shown[item, pair, number]:
                    entries.append((pair, side, number, drawn | {player}))
    return entries


@pytest.mark.parametrize("members_alone", [True, False])
@pytest.mark.parametrize("budget", [12, 25, 60])
def test_coalitions_are_each_set_its_region_and_its_members(budget, members_alone):
    layout, turns = laid_out(budget, members_alone=members_alone)
    coalitions = layout.coalitions()
    assert coalitions.shape == (len(REGIONS), budget, PLAYERS)
    for item in range(len(REGIONS)):
        entries = wanted(layout, turns, item)
        assert len(entries) == layout.used[item].sum() <= budget
        assert layout.used[item, : len(entries)].all()
        assert [as_set(mask) for mask in coalitions[item, : len(entries)]] == [entry[3] for entry in entries]
        assert not coalitions[item, len(entries) :].any()


@pytest.mark.parametrize("budget", [12, 25, 60])
def test_values_go_to_their_pair_side_and_role(budget):
    layout, turns = laid_out(budget)
    values = torch.randn(2, len(REGIONS), budget, dtype=torch.float64)
    unpacked = layout.unpack(values)
    expected = [
        torch.zeros_like(part) for part in (unpacked.base, unpacked.with_region, unpacked.with_member)
    ]
    for item in range(len(REGIONS)):
        for place, (pair, side, role, _) in enumerate(wanted(layout, turns, item)):
            value = values[:, item, place]
            if role == "base":
                expected[0][:, item, pair, side] = value
            elif role == "region":
                expected[1][:, item, pair, side] = value
            else:
                expected[2][:, item, pair, side, role] = value
    assert torch.equal(unpacked.base, expected[0])
    assert torch.equal(unpacked.with_region, expected[1])
    assert torch.equal(unpacked.with_member, expected[2])


def test_values_of_unused_evaluations_are_ignored():
    layout, _ = laid_out(25)
    values = torch.randn(1, len(REGIONS), 25)
    assert not layout.used.all()
    changed = torch.where(layout.used, values, 1e9)
    for part in ("base", "with_region", "with_member"):
        assert torch.equal(getattr(layout.unpack(changed), part), getattr(layout.unpack(values), part))


def test_the_base_is_the_drawn_coalition_without_region_or_member():
    layout, turns = laid_out(60)
    for item in range(len(REGIONS)):
        pair_sides = [(pair, side) for pair, side, _, _ in wanted(layout, turns, item)]
        for place, (pair, side) in enumerate(pair_sides):
            drawn = layout.pairs.complement if side else layout.pairs.coalition
            assert torch.equal(layout.base[item, place], drawn[item, pair])
            assert not (layout.base[item, place] & layout.members[item]).any()
