"""Whose turn it is: every member equally often, on every coalition with the same probability."""

import pytest
import torch

from pretrain.shapley.members import TOGETHER, assign_turns


def turns_of(size, budget, runs=1, seed=0, **options):
    return assign_turns(torch.full((runs,), size), budget, torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("budget", [12, 13, 24, 50, 96, 384])
@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 9, 12, 30])
def test_budget_is_kept_and_turns_are_equal(size, budget):
    plan = turns_of(size, budget, runs=20)
    turns = plan.shown.sum(1)
    assert (2 * (2 * plan.count + turns.sum(1)) <= budget).all()
    assert (plan.count >= 2).all()
    assert turns.shape[1] == size
    if size:
        assert (turns.amax(1) - turns.amin(1) <= (plan.rounds < 1)).all()
        torch.testing.assert_close(turns.double().mean(1), plan.rounds)
    assert not (plan.shown & (torch.arange(plan.shown.shape[1]) >= plan.count[:, None])[..., None]).any()


@pytest.mark.parametrize(("size", "budget"), [(5, 96), (9, 96), (9, 24), (12, 50)])
def test_a_turn_falls_on_every_coalition_equally_often(size, budget):
    """The gains of each member, scaled, stand for itself: mean 1 / K under each of K coalitions."""
    runs = 20_000
    plan = turns_of(size, budget, runs=runs)
    assert plan.taking_turns.all()
    assert (plan.count % 2 == 0).all()
    count = int(plan.count[0])
    expected = plan.rounds[0].item() / count
    share = plan.shown.double().mean(0)
    assert (share - expected).abs().max() < 5 * (expected * (1 - expected) / runs) ** 0.5
    torch.testing.assert_close(plan.scale * plan.rounds, plan.count.double())


def test_turns_of_a_member_lie_apart():
    """So that each meets small and large coalitions, which come sorted by size."""
    plan = turns_of(9, 192, runs=200)
    rounds, count = int(plan.rounds[0]), int(plan.count[0])
    assert rounds >= 3
    where = plan.shown.transpose(1, 2).nonzero()[:, 2].view(200, 9, rounds)
    gaps = torch.cat([where.diff(dim=2), where[..., :1] + count - where[..., -1:]], dim=2)
    assert gaps.min() >= count // rounds - 1
    assert gaps.max() <= count // rounds + 2


def test_small_regions_show_everyone_together():
    plan = turns_of(TOGETHER, 96)
    assert plan.shown.all()
    assert plan.scale.tolist() == [1.0]
    assert not plan.taking_turns.any()


def test_without_members_all_goes_into_coalitions():
    plan = turns_of(9, 96, members_alone=False)
    assert plan.count.tolist() == [24]
    assert not plan.shown.any()


def test_items_of_different_sizes_are_planned_side_by_side():
    sizes = torch.tensor([0, 2, 5, 9])
    together = assign_turns(sizes, 96, torch.Generator().manual_seed(0))
    for row, size in enumerate(sizes.tolist()):
        alone = turns_of(size, 96)
        assert together.count[row] == alone.count[0]
        assert together.rounds[row] == alone.rounds[0]
        assert not together.shown[row, :, size:].any()
        assert together.shown[row].sum() == alone.shown[0].sum()
