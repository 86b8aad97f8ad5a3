"""Which members of a region are evaluated alone with which coalitions: all of them, or a few in turn.

I([R]) needs v(T ∪ {j}) - v(T) for every member j of a region of m members. One coalition T for all members costs the
fewest evaluations per term, and in small regions the noise that members and region have in common cancels. But the
gains of neighbouring cells under one T err in the same direction (correlations of 0.6 to 0.9 on a trained dual
encoder), so that in a larger region another T lowers the error more than another member under the same T. There the
members take turns: r rounds, each member evaluated r times, assigned in a random order over K coalitions so that the
turns of one member are K / r coalitions apart, at a random offset. Coalitions come sorted by size, hence each member
meets small and large ones alike.

The estimate is unbiased: every turn falls on each coalition with probability 1 / K, whatever the coalitions are. Each
member has exactly as many turns as the others, so that differences between members add no noise.

Shapes: I items, K pairs of coalitions, N the largest region's number of members.
"""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.shapley.coalitions import uniform_draws

TOGETHER = 4  # in regions up to this size every member is evaluated with every coalition
# Correlation of two members' gains under one coalition, measured on a trained dual encoder. It affects only the choice
# of the number of rounds, not the expectation.
GAIN_CORRELATION = 0.7


@dataclass(frozen=True)
class MemberTurns:
    """The number of pairs of coalitions of each item, and which members are evaluated alone with which pair."""

    count: Int[Tensor, " I"]
    """Pairs in use."""
    shown: Bool[Tensor, "I K N"]
    """Whether the n-th member is evaluated alone with both coalitions of the pair."""
    scale: Float[Tensor, " I"]
    """Factor of a member's gain, so that the sum over the evaluated members estimates the sum over all members."""
    rounds: Float[Tensor, " I"]
    """Times that each member is evaluated; below 1 where the budget does not hold all members once."""
    taking_turns: Bool[Tensor, " I"]
    """Whether members take turns; otherwise every member meets every pair."""


def assign_turns(
    size: Int[Tensor, " I"], budget: int, generator: torch.Generator, *, members_alone: bool = True
) -> MemberTurns:
    """Assign at most `budget` evaluations: 2 for a coalition alone and with the region, and 1 for each member.

    `size` is the number of members of each item's region. With `members_alone=False` no member is evaluated alone.
    """
    device = size.device
    designs = [_design(members if members_alone else 0, budget // 2) for members in size.tolist()]
    count, slots = torch.tensor(designs, device=device, dtype=torch.long).reshape(-1, 2).unbind(1)
    alone = size if members_alone else 0 * size
    turns = slots < count * alone
    most, longest = (int(numbers.max().item()) if len(size) else 0 for numbers in (count, slots * turns))
    widest = int(size.max().item()) if len(size) else 0
    used = torch.arange(most, device=device) < count[:, None]
    real = torch.arange(widest, device=device) < alone[:, None]
    shown = used[..., None] & real[:, None]

    # Of L turns, turn t goes to member order[t mod m] under coalition floor((t + u mod L) K / L).
    draw = uniform_draws((len(size), widest + 1), generator, device)
    order = draw[:, 1:].masked_fill(~real, 2.0).argsort(1)
    turn = torch.arange(longest, device=device).expand(len(size), longest)
    shift = (turn + draw[:, :1].double() * slots[:, None]) / slots.clamp(min=1)[:, None]
    pair = ((shift % 1.0) * count[:, None]).floor().long()
    member = order.gather(1, turn % size.clamp(min=1)[:, None]) if longest else turn
    assigned = torch.zeros(len(size), most * widest + 1, dtype=torch.bool, device=device)
    where = (pair * widest + member).masked_fill(turn >= slots[:, None], most * widest)
    assigned = assigned.scatter(1, where, True)[:, :-1].view(shown.shape)
    return MemberTurns(
        count,
        torch.where(turns[:, None, None], assigned, shown),
        torch.where(turns, count * alone / slots.clamp(min=1), 1.0).double(),
        (slots / alone.clamp(min=1)).double(),
        turns,
    )


@functools.lru_cache(maxsize=4096)
def _design(members: int, evaluations: int) -> tuple[int, int]:
    """(pairs of coalitions, members' turns) for `evaluations` on each of the two sides of the pairs."""
    pairs_of_all = evaluations // (members + 2)
    if members <= TOGETHER and pairs_of_all >= 2:
        return pairs_of_all, pairs_of_all * members
    lowest = float("inf")
    design = (2, evaluations - 4)  # the least: two pairs, and as many members as there is room for
    for pairs in range(2, evaluations // 2 + 1, 2):  # even: strata of two pairs each, all of the same weight
        rounds = min((evaluations - 2 * pairs) // members, pairs)
        if rounds < 1:
            break
        per_pair = max(rounds * members / pairs, 1.0)
        variance = (1 + (per_pair - 1) * GAIN_CORRELATION) / rounds
        if variance <= lowest:
            lowest, design = variance, (pairs, rounds * members)
    return design
