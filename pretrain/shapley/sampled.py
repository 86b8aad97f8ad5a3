"""Merged-player interactions by sampling (LOUPE eq. 5-7; Zhang et al., AAAI 2021, "Interpreting Multivariate
Shapley Interactions in DNNs").

For a region R of m players among others X \\ R

    I([R]) = φ([R]) - Σ_{j in R} φ(j) = E_c E_{|T|=c} [ v(T ∪ R) - Σ_j v(T ∪ {j}) + (m - 1) v(T) ],

c uniform on 0..|X \\ R|: the value of the region as one player, less the values of its members each on its own. For
m > 2 it is not the Shapley interaction index. φ([R]) = E[v(T ∪ R) - v(T)] comes from the same evaluations.

Shapes: B games, R regions of each, P players, I = B * R items, E evaluations per item.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.coalitions import Pairs, random_ranks, uniform_size_pairs
from pretrain.shapley.games import AveragedGame, Game
from pretrain.shapley.members import MemberPlan, plan_members

LEAST_BUDGET = 12


@dataclass(frozen=True)
class MergedEstimate:
    """What the samples say about each region. All are [B, R]; empty regions are 0 with error 0."""

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
    """I([R]) and φ([R]) of every region of every game, from one call of `game` with R * `budget` coalitions each.

    `others` are the players of each game; those outside region r play against it. `budget` is the number of
    coalition values per region: the call has the same shape whatever the regions are.

    One coalition T serves several terms (m + 2 values, instead of 2 (m + 1) for terms drawn apart, and what the
    terms have in common cancels); T comes with its complement; sizes are stratified; coalitions are spread
    (`coalitions.spread_coalitions`; `candidates=1` turns that off). In regions of more than four members these take
    turns (`members.py`), and where the budget does not hold every member once, a random part of them stands for all:
    unbiased still, noisier. A token game's words are averaged out (`text_context.py`); their sampling error is in
    the standard errors, their forwards are not in `evaluations`. With `members_alone=False` only φ is estimated, at 2
    values per coalition.

    Standard errors treat spread coalitions as independent, and so are on the large side: 1.2 to 2.5 times the true
    error on small games, more where members have a single turn. Raises InputError when the budget is below 12.
    """
    if budget < LEAST_BUDGET:
        raise InputError(f"budget is {budget}; allowed are {LEAST_BUDGET} and more evaluations per region")
    members, eligible = _items(regions, others)
    averaged = game if isinstance(game, AveragedGame) and game.can_average(regions, others) else None
    if averaged is not None:
        eligible = eligible & averaged.drawn
    size = members.sum(-1)
    plan = plan_members(size, budget, generator, members_alone=members_alone)
    pairs = uniform_size_pairs(eligible, plan.count, generator, candidates, ends=~plan.taking_turns)

    # Evaluations 0..budget-1 of an item: pair after pair, T and its complement, in each T, T ∪ R, T ∪ {j} ...
    both = torch.ones((2,), dtype=torch.bool, device=size.device)
    in_use = torch.arange(plan.shown.shape[1], device=size.device) < plan.count[:, None]
    wanted = torch.cat([in_use[..., None] & both, plan.shown], dim=2)
    sides = wanted[:, :, None].expand(-1, -1, 2, -1)
    layout = torch.nn.functional.pad(sides.flatten(1), (0, budget))
    place = layout.byte().argsort(dim=1, descending=True, stable=True)[:, :budget]
    used = layout.gather(1, place)
    role = place % wanted.shape[2]
    draw = torch.div(place, wanted.shape[2], rounding_mode="floor").masked_fill(~used, 0)
    base = _pick(torch.stack([pairs.coalition, pairs.complement], dim=2).flatten(1, 2), draw)
    lone = members[:, None] & ((members.cumsum(-1) - 1)[:, None] == (role - 2)[..., None])
    added = torch.where((role == 1)[..., None], members[:, None], lone & (role > 1)[..., None])
    coalitions = (base | added) & used[..., None]

    together = coalitions.view(*regions.shape[:2], budget, -1).flatten(1, 2)
    if averaged is None:
        values = game(together)[None]
    else:
        crowd = eligible.sum(-1)[:, None].expand_as(place)
        batch = len(regions)
        values = averaged.replicates(
            together, base.sum(-1).view(batch, -1), crowd.reshape(batch, -1), generator
        )
    values = values.double().view(-1, len(size), budget)
    # Back to [G, I, pairs, sides, roles]; what was not evaluated is 0.
    spread = values.new_zeros(len(values), *layout.shape)
    spread = spread.scatter(2, place.expand_as(values), values * used)[..., : layout.shape[1] - budget]
    worth = spread.view(len(values), *sides.shape)
    gain = (worth[..., 1] - worth[..., 0]).mean(-1)  # [G, I, pairs]
    alone = (worth[..., 2:] - worth[..., :1]).mean(-2) * plan.shown  # [G, I, pairs, members]
    by_pair = gain - plan.scale[:, None] * alone.sum(-1)
    interaction, interaction_error = _average(by_pair, _level(by_pair, alone, plan), pairs)
    value, value_error = _average(gain, gain, pairs)
    real = size > 0
    shape = regions.shape[:2]
    unknown = interaction.new_full((), float("nan"))
    return MergedEstimate(
        interaction=(interaction * real if members_alone else unknown.expand(len(size))).view(shape),
        interaction_error=(interaction_error * real if members_alone else unknown.expand(len(size))).view(
            shape
        ),
        value=(value * real).view(shape),
        value_error=(value_error * real).view(shape),
        size=size.view(shape),
        evaluations=used.sum(-1).view(shape),
    )


def plain_interaction(
    game: Game,
    regions: Bool[Tensor, "B R P"],
    others: Bool[Tensor, "B P"],
    budget: int,
    generator: torch.Generator,
    *,
    shared: bool = False,
) -> MergedEstimate:
    """The same from independent draws, as the paper samples it: the yardstick for `merged_interaction`.

    Each of the 1 + m Shapley values of eq. 6 is sampled by itself from coalitions of its own, 2 values a draw (Castro
    et al. 2009). With `shared`, eq. 7 as one expectation: independent T, m + 2 values a draw. Raises InputError
    when the budget does not hold two draws of the largest region.
    """
    members, eligible = _items(regions, others)
    size = members.sum(-1)
    step = size + 2 if shared else 2 * (size + 1)
    count = budget // step
    if count.numel() and int(count.min().item()) < 2:
        largest, least = int(size.max().item()), 2 * int(step.max().item())
        raise InputError(f"budget is {budget}; a region of {largest} players needs at least {least}")
    place = torch.arange(budget, device=size.device)[None].expand(len(size), budget)
    used = place < (count * step)[:, None]
    within = place % step[:, None]
    repeat = (place // step[:, None]).masked_fill(~used, 0)
    if shared:
        draws, draw, role = int(count.max().item()), repeat, within
        coefficient = torch.where(role == 0, (size - 1)[:, None], torch.where(role == 1, 1, -1)).double()
        term = role - 1  # 0: the region, 1..m: a member
        gain = (role == 1).double() - (role == 0).double()
    else:
        term, filled = within // 2, within % 2 == 1
        draws, draw = int((count * (size + 1)).max().item()), repeat * (size + 1)[:, None] + term
        role = torch.where(filled, term + 1, 0)
        coefficient = torch.where(filled, 1.0, -1.0) * torch.where(term == 0, 1.0, -1.0)
        gain = coefficient * (term == 0)
    chance = torch.rand((len(size), draws), generator=generator, device=generator.device).to(size.device)
    sizes = (chance * (eligible.sum(-1) + 1)[:, None]).long().clamp(max=eligible.shape[-1])
    drawn = random_ranks((len(size), draws), eligible[:, None], generator) < sizes[..., None]
    base = _pick(drawn, draw)
    order = members.cumsum(-1) - 1
    one = members[:, None] & (order[:, None] == (role - 2)[..., None])
    added = torch.where((role == 1)[..., None], members[:, None], one & (role > 1)[..., None])
    coalitions = (base | added) & used[..., None]
    values = (
        game(coalitions.view(*regions.shape[:2], budget, -1).flatten(1, 2)).double().view(len(size), budget)
    )

    parts = 1 if shared else int(size.max().item()) + 1
    group = torch.zeros_like(term) if shared else term
    interaction, interaction_error = _plain_mean(values * coefficient, repeat, group, used, count, parts)
    value, value_error = _plain_mean(values * gain, repeat, group, used, count, parts)
    shape = regions.shape[:2]
    return MergedEstimate(
        interaction.view(shape),
        interaction_error.view(shape),
        value.view(shape),
        value_error.view(shape),
        size.view(shape),
        (count * step).view(shape),
    )


def _items(
    regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]
) -> tuple[Bool[Tensor, "I P"], Bool[Tensor, "I P"]]:
    """Members of each region that play, and who plays against it."""
    members = (regions & others[:, None]).flatten(0, 1)
    return members, others.repeat_interleave(regions.shape[1], 0) & ~members


def _pick(of: Tensor, index: Int[Tensor, "I E"]) -> Tensor:
    """of[i, index[i, e]] for [I, K, P] → [I, E, P]."""
    return of.gather(1, index[..., None].expand(*index.shape, of.shape[-1]))


def _level(
    by_pair: Float[Tensor, "G I K"], alone: Float[Tensor, "G I K N"], plan: MemberPlan
) -> Float[Tensor, "G I K"]:
    """`by_pair` without the differences between members, which their equal turns cancel in the mean.

    A member's mean is known from its own turns only: residuals of r turns are widened by √(r / (r - 1)). With fewer
    than two turns nothing is taken off, and the standard error is on the large side.
    """
    known = plan.taking_turns & (plan.rounds >= 2)
    if not bool(known.any()):
        return by_pair
    rounds = plan.rounds[:, None, None].clamp(min=2)
    mean = alone.sum(2, keepdim=True) / rounds
    residual = (alone - mean) * plan.shown * (rounds / (rounds - 1)).sqrt()
    whole = by_pair + plan.scale[:, None] * (alone - residual).sum(-1)
    return torch.where(known[:, None], whole, by_pair)


def _average(
    values: Float[Tensor, "G I K"], level: Float[Tensor, "G I K"], pairs: Pairs
) -> tuple[Float[Tensor, " I"], Float[Tensor, " I"]]:
    """Mean over pairs and its standard error, that of `level`; independent replicates of the game add their own."""
    means = pairs.mean(values)
    variance = pairs.error(level.mean(0)).square()
    if len(values) > 1:
        variance = variance + means.var(0) / len(values)
    return means.mean(0), variance.sqrt()


def _plain_mean(
    values: Float[Tensor, "I E"],
    repeat: Int[Tensor, "I E"],
    group: Int[Tensor, "I E"],
    used: Bool[Tensor, "I E"],
    count: Int[Tensor, " I"],
    groups: int,
) -> tuple[Float[Tensor, " I"], Float[Tensor, " I"]]:
    """Σ over groups of the mean over draws, and the standard error of that sum of independent means."""
    most = int(count.max().item())
    slot = (group * most + repeat).masked_fill(~used, 0)
    draws = values.new_zeros(len(values), groups * most).scatter_add(1, slot, values * used)
    draws = draws.view(len(values), groups, most)
    real = torch.arange(most, device=values.device) < count[:, None, None]
    mean = (draws * real).sum(-1) / count[:, None]
    spread = ((draws - mean[..., None]) * real).square().sum(-1) / (count[:, None] - 1)
    return mean.sum(-1), (spread / count[:, None]).sum(-1).sqrt()
