"""Evaluations of merged-player interactions: which coalition each asks for, and which term its value belongs to.

For each coalition T of an item's pairs, and for its complement, the values of T, of T ∪ R and of T ∪ {j} for some
members j of the region R are needed. An item has `budget` evaluations, whatever its region is: the wanted ones first,
pair after pair, the rest unused.

Shapes: I items, K pairs of an item, N members of the largest region, P players, E = `budget` evaluations, G replicates.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.shapley.coalitions import Pairs
from pretrain.shapley.members import MemberTurns

REGION_ROLE = 1  # role 0 is T, 1 is T ∪ R, 2 + n is T with the n-th member


@dataclass(frozen=True)
class MergedValues:
    """Coalition values by pair and side (the coalition, its complement); 0 where nothing was evaluated."""

    base: Float[Tensor, "G I K 2"]
    """v(T)."""
    with_region: Float[Tensor, "G I K 2"]
    """v(T ∪ R)."""
    with_member: Float[Tensor, "G I K 2 N"]
    """v(T ∪ {j})."""


@dataclass(frozen=True)
class MergedLayout:
    """The evaluations of `merged_interaction`."""

    pairs: Pairs
    members: Bool[Tensor, "I P"]
    """The players of each item's region."""
    slots: tuple[int, ...]
    """(I, K, 2, 2 + N): pairs, sides and roles; `place` counts through the last three."""
    place: Int[Tensor, "I E"]
    """The slot of each evaluation."""
    used: Bool[Tensor, "I E"]
    """Whether the evaluation is wanted; the value of an unused one is ignored."""

    @classmethod
    def of(
        cls, pairs: Pairs, members: Bool[Tensor, "I P"], turns: MemberTurns, budget: int
    ) -> "MergedLayout":
        """Lay out `budget` evaluations per item; `turns` must not ask for more."""
        device = members.device
        pair_in_use = torch.arange(turns.shown.shape[1], device=device) < turns.count[:, None]
        base_and_region = torch.ones((2,), dtype=torch.bool, device=device)
        wanted = torch.cat([pair_in_use[..., None] & base_and_region, turns.shown], dim=2)
        both_sides = wanted[:, :, None].expand(-1, -1, 2, -1)
        # Wanted slots first, each in its order; padding makes sure that there are `budget` slots to choose from.
        slots = torch.nn.functional.pad(both_sides.flatten(1), (0, budget))
        place = slots.byte().argsort(dim=1, descending=True, stable=True)[:, :budget]
        return cls(pairs, members, tuple(both_sides.shape), place, slots.gather(1, place))

    @cached_property
    def base(self) -> Bool[Tensor, "I E P"]:
        """T of each evaluation."""
        number = torch.div(self.place, self.slots[3], rounding_mode="floor").masked_fill(~self.used, 0)
        drawn = torch.stack([self.pairs.coalition, self.pairs.complement], dim=2).flatten(1, 2)
        return pick(drawn, number)

    def coalitions(self) -> Bool[Tensor, "I E P"]:
        """The coalition of each evaluation; empty where it is unused."""
        return (self.base | added_players(self.members, self.place % self.slots[3])) & self.used[..., None]

    def unpack(self, values: Float[Tensor, "G I E"]) -> MergedValues:
        """The values of `coalitions`, by pair, side and role."""
        items, per_item = self.slots[0], self.slots[1] * self.slots[2] * self.slots[3]
        budget = self.place.shape[1]
        spread = values.new_zeros(len(values), items, per_item + budget)
        spread = spread.scatter(2, self.place.expand_as(values), values * self.used)[..., :per_item]
        by_role = spread.view(len(values), *self.slots)
        return MergedValues(by_role[..., 0], by_role[..., REGION_ROLE], by_role[..., REGION_ROLE + 1 :])


def added_players(members: Bool[Tensor, "I P"], role: Int[Tensor, "I E"]) -> Bool[Tensor, "I E P"]:
    """Who joins T in a role: nobody (0), the region (1), its n-th member in the order of players (2 + n)."""
    number = (members.cumsum(-1) - 1)[:, None]
    one_member = members[:, None] & (number == (role - REGION_ROLE - 1)[..., None])
    return torch.where(
        (role == REGION_ROLE)[..., None], members[:, None], one_member & (role > REGION_ROLE)[..., None]
    )


def pick(coalitions: Bool[Tensor, "I K P"], number: Int[Tensor, "I E"]) -> Bool[Tensor, "I E P"]:
    """coalitions[i, number[i, e]] of every item i and evaluation e."""
    return coalitions.gather(1, number[..., None].expand(*number.shape, coalitions.shape[-1]))
