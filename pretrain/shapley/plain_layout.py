"""Evaluations of merged-player interactions from independent draws: coalitions, and the draws their values make up.

A draw is one sample of one term. There are two designs:

    independent   each of the 1 + m Shapley values of eq. 6 is a term with coalitions of its own; a draw is
                  v(T ∪ S) - v(T), S the region or one member: 2 evaluations
    shared        eq. 7 is the only term; a draw is v(T ∪ R) - Σ_j v(T ∪ {j}) + (m - 1) v(T): m + 2 evaluations

Shapes: I items, E = `budget` evaluations, P players, S terms, D draws of a term.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.shapley.coalitions import random_ranks, uniform_draws
from pretrain.shapley.merged_layout import added_players, pick


@dataclass(frozen=True)
class PlainDraws:
    """Samples of each term; 0 beyond the item's number of draws."""

    interaction: Float[Tensor, "I S D"]
    """Samples whose sum over terms has the expectation I([R])."""
    value: Float[Tensor, "I S D"]
    """Samples whose sum over terms has the expectation φ([R])."""


@dataclass(frozen=True)
class PlainLayout:
    """The evaluations of `plain_interaction`."""

    base: Bool[Tensor, "I E P"]
    """T of each evaluation."""
    added: Bool[Tensor, "I E P"]
    """Who joins T."""
    used: Bool[Tensor, "I E"]
    """Whether the evaluation is wanted; the value of an unused one is ignored."""
    term: Int[Tensor, "I E"]
    """The term that the value belongs to."""
    draw: Int[Tensor, "I E"]
    """Which draw of that term it is part of."""
    interaction_factor: Float[Tensor, "I E"]
    """What the value is multiplied by in a draw for I([R])."""
    value_factor: Float[Tensor, "I E"]
    """What the value is multiplied by in a draw for φ([R])."""
    count: Int[Tensor, " I"]
    """Draws of each term."""
    terms: int

    @classmethod
    def of(
        cls,
        members: Bool[Tensor, "I P"],
        eligible: Bool[Tensor, "I P"],
        budget: int,
        generator: torch.Generator,
        *,
        shared: bool,
    ) -> "PlainLayout":
        """Draw coalitions of uniform size among `eligible`, as many as `budget` evaluations per item hold."""
        size = members.sum(-1)
        per_draw = evaluations_per_draw(size, shared=shared)
        count = budget // per_draw
        place = torch.arange(budget, device=size.device)[None].expand(len(size), budget)
        used = place < (count * per_draw)[:, None]
        within = place % per_draw[:, None]
        draw = (place // per_draw[:, None]).masked_fill(~used, 0)
        if shared:
            drawn_sets, number, role = int(count.max().item()), draw, within
            other_factor = torch.where(role == 1, 1, -1)
            interaction_factor = torch.where(role == 0, (size - 1)[:, None], other_factor).double()
            value_factor = (role == 1).double() - (role == 0).double()
            term, terms = torch.zeros_like(within), 1
        else:
            term, filled = within // 2, within % 2 == 1  # term 0: the region, n: its n-th member
            drawn_sets = int((count * (size + 1)).max().item())
            number = draw * (size + 1)[:, None] + term
            role = torch.where(filled, term + 1, 0)
            interaction_factor = torch.where(filled, 1.0, -1.0) * torch.where(term == 0, 1.0, -1.0)
            value_factor = interaction_factor * (term == 0)
            terms = int(size.max().item()) + 1
        base = pick(_uniform_size_sets(eligible, drawn_sets, generator), number)
        added = added_players(members, role)
        return cls(base, added, used, term, draw, interaction_factor, value_factor, count, terms)

    def coalitions(self) -> Bool[Tensor, "I E P"]:
        """The coalition of each evaluation; empty where it is unused."""
        return (self.base | self.added) & self.used[..., None]

    def unpack(self, values: Float[Tensor, "I E"]) -> PlainDraws:
        """The values of `coalitions`, weighted and summed to draws."""
        return PlainDraws(
            self._draws(values * self.interaction_factor), self._draws(values * self.value_factor)
        )

    def _draws(self, values: Float[Tensor, "I E"]) -> Float[Tensor, "I S D"]:
        most = int(self.count.max().item())
        slot = (self.term * most + self.draw).masked_fill(~self.used, 0)
        draws = values.new_zeros(len(values), self.terms * most).scatter_add(1, slot, values * self.used)
        return draws.view(len(values), self.terms, most)


def evaluations_per_draw(size: Int[Tensor, " I"], *, shared: bool) -> Int[Tensor, " I"]:
    """Evaluations that one draw of every term costs, for regions of `size` members."""
    return size + 2 if shared else 2 * (size + 1)


def _uniform_size_sets(
    eligible: Bool[Tensor, "I P"], count: int, generator: torch.Generator
) -> Bool[Tensor, "I K P"]:
    """`count` independent coalitions per item, their sizes uniform on 0 to the number of eligible players."""
    shape = (len(eligible), count)
    chance = uniform_draws(shape, generator, eligible.device)
    sizes = (chance * (eligible.sum(-1) + 1)[:, None]).long().clamp(max=eligible.shape[-1])
    return random_ranks(shape, eligible[:, None], generator) < sizes[..., None]
