"""Merged-player interactions by sampling (LOUPE eq. 5-7; Zhang et al., AAAI 2021, "Interpreting Multivariate
Shapley Interactions in DNNs").

For a region R of m players among others X \\ R

    I([R]) = φ([R]) - Σ_{j in R} φ(j) = E_c E_{|T|=c} [ v(T ∪ R) - Σ_j v(T ∪ {j}) + (m - 1) v(T) ],

c uniform on 0..|X \\ R|: the value of the region as one player, less the values of its members as single players. For
m > 2 it is not the Shapley interaction index. φ([R]) = E[v(T ∪ R) - v(T)] comes from the same evaluations.

Shapes: B games, R regions of each, P players, I = B * R items, K pairs of coalitions, G replicates of a game.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.coalitions import Pairs, uniform_size_pairs
from pretrain.shapley.games import AveragedGame, Game
from pretrain.shapley.members import MemberTurns, assign_turns
from pretrain.shapley.merged_layout import MergedLayout
from pretrain.shapley.plain_layout import PlainLayout, evaluations_per_draw

LEAST_BUDGET = 12


@dataclass(frozen=True)
class MergedEstimate:
    """Estimates for each region with their standard errors. Empty regions are 0 with error 0."""

    interaction: Float[Tensor, "B R"]  # I([R]); NaN where only values were asked for
    interaction_error: Float[Tensor, "B R"]  # standard errors
    value: Float[Tensor, "B R"]  # φ([R])
    value_error: Float[Tensor, "B R"]
    size: Int[Tensor, "B R"]  # players in the region
    evaluations: Int[Tensor, "B R"]  # coalition values used, at most the budget


def merged_interaction(
    game: Game,
    regions: Bool[Tensor, "B R P"],
    others: Bool[Tensor, "B P"],
    budget: int,
    generator: torch.Generator,
    *,
    candidates: int = 8,
    members_alone: bool = True,
) -> MergedEstimate:
    """Estimate I([R]) and φ([R]) of every region by one call of `game` with R * `budget` coalitions per game.

    `others` are the players of each game; those outside region r play against it. `budget` is the number of
    coalition values per region: the call has the same shape whatever the regions are.

    One coalition T serves several terms (m + 2 values, instead of 2 (m + 1) for terms drawn independently, and the
    noise that the terms have in common cancels); T comes with its complement; sizes are stratified; coalitions are
    spread (`coalitions.spread_coalitions`; `candidates=1` turns that off). In regions of more than four members these
    take turns (`members.py`), and where the budget does not hold every member once, a random part of them represents
    all: still unbiased, with a larger variance. A token game's words are averaged out (`text_context.py`); their
    sampling error is in the standard errors, their forwards are not in `evaluations`. With `members_alone=False` only
    φ is estimated, at 2 values per coalition.

    Standard errors treat spread coalitions as independent and are therefore too large: 1.2 to 2.5 times the true
    error on small games, more where members have a single turn. Raises InputError when the budget is below 12.
    """
    if budget < LEAST_BUDGET:
        raise InputError(f"budget is {budget}; allowed are {LEAST_BUDGET} and more evaluations per region")
    members, eligible = _items(regions, others)
    averaged = game if isinstance(game, AveragedGame) and game.can_average(regions, others) else None
    if averaged is not None:
        eligible = eligible & averaged.drawn
    turns = assign_turns(members.sum(-1), budget, generator, members_alone=members_alone)
    pairs = uniform_size_pairs(eligible, turns.count, generator, candidates, ends=~turns.taking_turns)
    layout = MergedLayout.of(pairs, members, turns, budget)
    coalitions = _by_game(layout.coalitions(), regions)
    if averaged is None:
        values = game(coalitions)[None]
    else:
        sizes = layout.base.sum(-1).view(len(regions), -1)
        players = eligible.sum(-1)[:, None].expand_as(layout.place).reshape(len(regions), -1)
        values = averaged.replicates(coalitions, sizes, players, generator)
    values = values.double().view(-1, len(members), budget)
    return _merged_estimate(layout, turns, values, regions.shape[:2], members_alone=members_alone)


def plain_interaction(
    game: Game,
    regions: Bool[Tensor, "B R P"],
    others: Bool[Tensor, "B P"],
    budget: int,
    generator: torch.Generator,
    *,
    shared: bool = False,
) -> MergedEstimate:
    """Estimate the same from independent draws, as the paper samples it: the baseline for `merged_interaction`.

    Each of the 1 + m Shapley values of eq. 6 is sampled from its own coalitions, 2 values per draw (Castro et al.
    2009). With `shared`, eq. 7 is sampled as one expectation: independent T, m + 2 values per draw. Raises InputError
    when the budget does not hold two draws of the largest region.
    """
    members, eligible = _items(regions, others)
    size = members.sum(-1)
    per_draw = evaluations_per_draw(size, shared=shared)
    if per_draw.numel() and budget // int(per_draw.max().item()) < 2:
        largest, least = int(size.max().item()), 2 * int(per_draw.max().item())
        raise InputError(f"budget is {budget}; a region of {largest} players needs at least {least}")
    layout = PlainLayout.of(members, eligible, budget, generator, shared=shared)
    values = game(_by_game(layout.coalitions(), regions)).double().view(len(size), budget)
    draws = layout.unpack(values)
    shape = regions.shape[:2]
    interaction, interaction_error = _sum_of_means(draws.interaction, layout.count)
    value, value_error = _sum_of_means(draws.value, layout.count)
    return MergedEstimate(
        interaction.view(shape),
        interaction_error.view(shape),
        value.view(shape),
        value_error.view(shape),
        size.view(shape),
        (layout.count * per_draw).view(shape),
    )


def _items(
    regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]
) -> tuple[Bool[Tensor, "I P"], Bool[Tensor, "I P"]]:
    """The members of each region that play, and the players outside the region."""
    members = (regions & others[:, None]).flatten(0, 1)
    return members, others.repeat_interleave(regions.shape[1], 0) & ~members


def _by_game(coalitions: Bool[Tensor, "I E P"], regions: Bool[Tensor, "B R P"]) -> Bool[Tensor, "B RE P"]:
    """All coalitions of a game's regions in one dimension, as a game is called."""
    return coalitions.view(*regions.shape[:2], *coalitions.shape[1:]).flatten(1, 2)


def _merged_estimate(
    layout: MergedLayout,
    turns: MemberTurns,
    values: Float[Tensor, "G I E"],
    shape: tuple[int, ...],
    *,
    members_alone: bool,
) -> MergedEstimate:
    """Means over pairs and their standard errors, from the values of the layout's coalitions."""
    worth = layout.unpack(values)
    gain = (worth.with_region - worth.base).mean(-1)  # [G, I, K]
    alone = (worth.with_member - worth.base[..., None]).mean(-2) * turns.shown  # [G, I, K, N]
    by_pair = gain - turns.scale[:, None] * alone.sum(-1)
    value, value_error = _average(gain, gain, layout.pairs)
    if members_alone:
        level = _without_member_differences(by_pair, alone, turns)
        interaction, interaction_error = _average(by_pair, level, layout.pairs)
    else:
        interaction = interaction_error = torch.full_like(value, float("nan"))
    size = layout.members.sum(-1)
    real = size > 0
    if members_alone:
        interaction, interaction_error = interaction * real, interaction_error * real
    return MergedEstimate(
        interaction=interaction.view(shape),
        interaction_error=interaction_error.view(shape),
        value=(value * real).view(shape),
        value_error=(value_error * real).view(shape),
        size=size.view(shape),
        evaluations=layout.used.sum(-1).view(shape),
    )


def _without_member_differences(
    by_pair: Float[Tensor, "G I K"], alone: Float[Tensor, "G I K N"], turns: MemberTurns
) -> Float[Tensor, "G I K"]:
    """`by_pair` without the differences between members, which their equal turns cancel in the mean.

    A member's mean is known from its own turns only: residuals of r turns are widened by √(r / (r - 1)). With fewer
    than two turns nothing is subtracted, and the standard error is too large.
    """
    known = turns.taking_turns & (turns.rounds >= 2)
    if not bool(known.any()):
        return by_pair
    rounds = turns.rounds[:, None, None].clamp(min=2)
    mean = alone.sum(2, keepdim=True) / rounds
    residual = (alone - mean) * turns.shown * (rounds / (rounds - 1)).sqrt()
    level = by_pair + turns.scale[:, None] * (alone - residual).sum(-1)
    return torch.where(known[:, None], level, by_pair)


def _average(
    values: Float[Tensor, "G I K"], level: Float[Tensor, "G I K"], pairs: Pairs
) -> tuple[Float[Tensor, " I"], Float[Tensor, " I"]]:
    """Mean over pairs and the standard error of `level`; independent replicates of the game add their own variance."""
    means = pairs.mean(values)
    variance = pairs.error(level.mean(0)).square()
    if len(values) > 1:
        variance = variance + means.var(0) / len(values)
    return means.mean(0), variance.sqrt()


def _sum_of_means(
    draws: Float[Tensor, "I S D"], count: Int[Tensor, " I"]
) -> tuple[Float[Tensor, " I"], Float[Tensor, " I"]]:
    """Sum over terms of the mean over `count` draws, and the standard error of that sum of independent means."""
    real = torch.arange(draws.shape[2], device=draws.device) < count[:, None, None]
    mean = (draws * real).sum(-1) / count[:, None]
    spread = ((draws - mean[..., None]) * real).square().sum(-1) / (count[:, None] - 1)
    return mean.sum(-1), (spread / count[:, None]).sum(-1).sqrt()
