"""Merged-player interactions against enumeration and shapiq; the plain sampler as the yardstick."""

import pytest
import shapiq
import torch

from data_filters.errors import InputError
from pretrain.shapley.sampled import merged_interaction, plain_interaction

REGIONS = {2: [0, 5], 3: [1, 2, 7], 4: [0, 3, 4, 8], 5: [0, 1, 2, 3, 4], 6: [2, 3, 5, 6, 7, 8]}


def as_masks(regions, players, batch=1):
    masks = torch.zeros(batch, len(regions), players, dtype=torch.bool)
    for row, members in enumerate(regions):
        masks[:, row, list(members)] = True
    return masks


def everyone(batch, players):
    return torch.ones(batch, players, dtype=torch.bool)


@pytest.mark.parametrize("budget", [40, 96])
def test_is_unbiased(referee, budget):
    """The mean of 2,000 runs, for regions of 2 to 6 of 10 players, and for the plain samplers."""
    players, runs = 10, 2000
    table = referee.Table(players, seed=1)
    regions = list(REGIONS.values())
    truth = torch.tensor([referee.merged_interaction(table.of, range(players), r) for r in regions])
    worth = torch.tensor([referee.merged_value(table.of, range(players), r) for r in regions])
    masks, others = as_masks(regions, players, runs), everyone(runs, players)
    samplers = {
        "ours": lambda g: merged_interaction(table, masks, others, budget, g),
        "independent": lambda g: plain_interaction(table, masks, others, budget, g),
        "shared": lambda g: plain_interaction(table, masks, others, budget, g, shared=True),
    }
    for name, sample in samplers.items():
        estimate = sample(torch.Generator().manual_seed(7))
        for drawn, expected in ((estimate.interaction, truth), (estimate.value, worth)):
            error = drawn.std(0) / runs**0.5
            assert ((drawn.mean(0) - expected).abs() < 4 * error + 1e-12).all(), name


@pytest.mark.parametrize(("players", "members"), [(14, 2), (13, 4), (12, 6)])
def test_lies_within_three_standard_errors_of_shapiq(referee, players, members):
    """φ([R]) and every φ(j) are exact Shapley values by shapiq, each in the game that it belongs to."""
    table = referee.Table(players, seed=players, terms=60)
    region = list(range(1, 1 + members))
    others = [player for player in range(players) if player not in region]

    def value_of(one):
        """Shapley value of `one` (several players as a single one) among the others."""

        def game(matrix):
            coalitions = torch.zeros(1, len(matrix), players, dtype=torch.bool)
            coalitions[0][:, others] = torch.from_numpy(matrix[:, :-1]).bool()
            coalitions[0][:, one] = torch.from_numpy(matrix[:, -1:]).bool()
            return table(coalitions)[0].numpy()

        count = len(others) + 1
        return shapiq.ExactComputer(n_players=count, game=game)("SV", 1)[(count - 1,)]

    whole = value_of(region)
    truth = whole - sum(value_of([j]) for j in region)
    masks, playing = as_masks([region], players, 200), everyone(200, players)
    estimate = merged_interaction(table, masks, playing, 192, torch.Generator().manual_seed(0))
    within = (estimate.interaction - truth).abs() < 3 * estimate.interaction_error
    assert within.double().mean() > 0.99
    assert within[0].all()
    worth = (estimate.value - whole).abs() < 3 * estimate.value_error
    assert worth.double().mean() > 0.98


def test_plain_errors_are_calibrated(referee):
    table = referee.Table(10, seed=4)
    masks, others = as_masks([[0, 1, 2]], 10, 2000), everyone(2000, 10)
    for shared in (False, True):
        estimate = plain_interaction(
            table, masks, others, 96, torch.Generator().manual_seed(0), shared=shared
        )
        claimed = estimate.interaction_error.square().mean().sqrt().item()
        assert claimed == pytest.approx(estimate.interaction.std().item(), rel=0.06)


def test_without_spreading_errors_are_calibrated_and_with_it_never_too_small(referee):
    table = referee.Table(12, seed=5)
    masks, others = as_masks([[0, 1, 2]], 12, 1000), everyone(1000, 12)
    for candidates, low, high in ((1, 0.92, 1.08), (8, 1.0, 3.0)):
        generator = torch.Generator().manual_seed(0)
        estimate = merged_interaction(table, masks, others, 120, generator, candidates=candidates)
        claimed = estimate.interaction_error.square().mean().sqrt().item()
        assert low < claimed / estimate.interaction.std().item() < high


@pytest.mark.parametrize("budget", [96, 192, 384])
def test_error_is_at_most_half_of_the_plain_one(referee, budget):
    plain = ours = 0.0
    for seed in range(4):
        table = referee.Table(14, seed=seed, terms=60)
        region = [0, 1, 2, 3]
        truth = referee.merged_interaction(table.of, range(14), region)
        masks, others = as_masks([region], 14, 150), everyone(150, 14)
        generator = torch.Generator().manual_seed(seed)
        plain += (plain_interaction(table, masks, others, budget, generator).interaction - truth).abs().mean()
        ours += (merged_interaction(table, masks, others, budget, generator).interaction - truth).abs().mean()
    assert ours < plain / 2


def saturating(players, members, seed):
    """What the region shows is known from any of its members, as far as the others let it be seen."""
    drawn = torch.Generator().manual_seed(seed)
    share = torch.rand(members, generator=drawn, dtype=torch.float64) * 0.3 + 0.5
    weight = torch.randn(players - members, generator=drawn, dtype=torch.float64)

    def game(coalitions):
        seen = 1 - torch.where(coalitions[..., :members], 1 - share, 1.0).prod(-1)
        return seen * torch.sigmoid(2 * coalitions[..., members:].double() @ weight)

    return game


@pytest.mark.parametrize("budget", [96, 192, 384])
def test_members_whose_gains_err_in_step_take_turns(budget):
    """A region of 9 among 20: half the plain error, and unbiased (the plain mean is the referee)."""
    plain = ours = 0.0
    masks, others = as_masks([list(range(9))], 20, 300), everyone(300, 20)
    for seed in range(4):
        game, generator = saturating(20, 9, seed), torch.Generator().manual_seed(seed)
        usual = plain_interaction(game, masks, others, budget, generator)
        estimate = merged_interaction(game, masks, others, budget, generator)
        for found, other in ((estimate.interaction, usual.interaction), (estimate.value, usual.value)):
            error = ((found.var() + other.var()) / 300).sqrt()
            assert abs(found.mean() - other.mean()) < 4 * error
        claimed = estimate.interaction_error.square().mean().sqrt()
        assert 0.9 < claimed / estimate.interaction.std() < 6
        plain, ours = plain + usual.interaction.var(), ours + estimate.interaction.var()
    assert ours.sqrt() < plain.sqrt() / 2


def test_every_evaluation_is_counted_and_the_shape_does_not_depend_on_regions(referee):
    table = referee.Table(9, seed=0)
    calls = []

    def counted(coalitions):
        calls.append(tuple(coalitions.shape))
        return table(coalitions)

    masks = as_masks([[0], [1, 2, 3], [], list(range(8)), list(range(9))], 9, 2)
    estimate = merged_interaction(counted, masks, everyone(2, 9), 50, torch.Generator().manual_seed(0))
    assert calls == [(2, 5 * 50, 9)]
    # Pairs of (members alone + 2): 8 * 6, 5 * 10; 12 pairs * 4 of the empty region; from 5 members on, 8 pairs * 4
    # and each member once under a pair: 8 * 4 + 2 * 8, 8 * 4 + 2 * 9.
    assert estimate.evaluations[0].tolist() == [48, 50, 48, 48, 50]
    assert estimate.size[0].tolist() == [1, 3, 0, 8, 9]


def test_single_members_and_empty_regions_have_no_interaction(referee):
    table = referee.Table(8, seed=0)
    masks = as_masks([[3], []], 8)
    estimate = merged_interaction(table, masks, everyone(1, 8), 48, torch.Generator().manual_seed(0))
    assert estimate.interaction[0].tolist() == pytest.approx([0, 0], abs=1e-12)
    assert estimate.value[0, 1] == 0
    assert estimate.value_error[0, 1] == 0
    truth = referee.shapley_value(table.of, range(8), 3)
    assert abs(estimate.value[0, 0].item() - truth) < 4 * estimate.value_error[0, 0].item()


def test_a_region_of_everyone_is_exact(referee):
    """Nobody is left to play against: v(R) - Σ v(j) + (m - 1) v(∅)."""
    table = referee.Table(6, seed=2)
    everybody = frozenset(range(6))
    expected = table.of(everybody) - sum(table.of({j}) for j in everybody) + 5 * table.of(())
    masks = as_masks([everybody], 6)
    estimate = merged_interaction(table, masks, everyone(1, 6), 96, torch.Generator().manual_seed(0))
    assert estimate.interaction.item() == pytest.approx(expected)
    assert estimate.interaction_error.item() == pytest.approx(0, abs=1e-9)


def test_players_that_are_not_in_the_game_never_appear(referee):
    table = referee.Table(9, seed=3)
    playing = torch.tensor([[True, True, False, True, True, True, False, True, True]])
    seen = []

    def watched(coalitions):
        seen.append(coalitions)
        return table(coalitions)

    masks = as_masks([[0, 1, 2]], 9)
    estimate = merged_interaction(watched, masks, playing, 96, torch.Generator().manual_seed(0))
    assert not seen[0][..., [2, 6]].any()
    assert estimate.size.item() == 2


def test_large_regions_take_a_random_part_of_their_members(referee):
    players, region, runs = 14, list(range(10)), 3000
    table = referee.Table(players, seed=6)
    truth = referee.merged_interaction(table.of, range(players), region)
    masks, others = as_masks([region], players, runs), everyone(runs, players)
    estimate = merged_interaction(table, masks, others, 24, torch.Generator().manual_seed(0))
    assert (estimate.evaluations == 24).all()
    error = estimate.interaction.std().item() / runs**0.5
    assert abs(estimate.interaction.mean().item() - truth) < 4 * error


def test_values_alone_need_two_evaluations_a_coalition(referee):
    table = referee.Table(10, seed=1)
    truth = referee.merged_value(table.of, range(10), [0, 1, 2])
    masks, others = as_masks([[0, 1, 2]], 10, 1000), everyone(1000, 10)
    sparing = merged_interaction(
        table, masks, others, 40, torch.Generator().manual_seed(0), members_alone=False
    )
    costly = merged_interaction(table, masks, others, 40, torch.Generator().manual_seed(0))
    assert sparing.interaction.isnan().all()
    assert abs(sparing.value.mean().item() - truth) < 4 * sparing.value.std().item() / 1000**0.5
    assert sparing.value.std() < 0.8 * costly.value.std()


def test_the_same_seed_gives_the_same_estimate(referee):
    table = referee.Table(8, seed=0)
    masks, others = as_masks([[0, 1]], 8), everyone(1, 8)
    first, second = (
        merged_interaction(table, masks, others, 48, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first.interaction, second.interaction)


def test_too_small_budgets_are_refused(referee):
    table = referee.Table(8, seed=0)
    masks, others = as_masks([[0, 1, 2, 3]], 8), everyone(1, 8)
    with pytest.raises(InputError, match="12 and more"):
        merged_interaction(table, masks, others, 11, torch.Generator())
    with pytest.raises(InputError, match="needs at least 20"):
        plain_interaction(table, masks, others, 19, torch.Generator())
