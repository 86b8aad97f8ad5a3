"""Evaluations of an attribution: complementary pairs of coalitions with their weights, the whole set and the empty set.

Coalitions of one size weigh together as the Shapley kernel says, 1 / (s (n - s)) for size s of n players (Lundberg and
Lee 2017, theorem 2), or all sizes alike. The smallest sizes, whose coalitions would all be drawn anyway, are enumerated
with their exact weights; the others are drawn in strata of size and spread out (`coalitions.spread_coalitions`).

Shapes: B images, K pairs, P players, N phrases, E = 2 K + 2 evaluations.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.shapley.coalitions import spread_coalitions, uniform_draws

WEIGHTINGS = ("shapley", "uniform")


@dataclass(frozen=True)
class PairedValues:
    """Coalition values, pair by pair."""

    difference: Float[Tensor, "B K N"]
    """(v(T) - v(complement of T)) / 2."""
    whole: Float[Tensor, "B N"]
    """v of all players."""
    empty: Float[Tensor, "B N"]
    """v of no player."""


@dataclass(frozen=True)
class PairedLayout:
    """The evaluations of `attribute`: K coalitions, their K complements, the whole set, the empty set."""

    drawn: Bool[Tensor, "B K P"]
    """One coalition of each pair."""
    players: Bool[Tensor, "B P"]
    """Who is in the game; False: padding."""
    weights: Float[Tensor, "B K"]
    """Weight of each pair in the regression."""
    complete: bool
    """Whether these are all coalitions, so that nothing is sampled."""

    @classmethod
    def of(
        cls,
        players: Bool[Tensor, "B P"],
        count: int,
        weighting: str,
        generator: torch.Generator,
        candidates: int,
    ) -> "PairedLayout":
        """Choose at most `count` pairs; `weighting` is one of WEIGHTINGS. With padding, every pair is drawn."""
        number = players.shape[1]
        enumerated = _enumerated_sizes(number, count, weighting) if bool(players.all()) else []
        known, known_weights, weight_left = _all_of_sizes(number, enumerated, weighting, players)
        complete = weight_left <= 0
        count_left = 0 if complete else count - known.shape[1]
        sizes = _sizes(players, count_left, weighting, len(enumerated), generator)
        drawn = torch.cat([known, spread_coalitions(sizes, players, generator, candidates)], dim=1)
        sampled_weights = torch.full_like(sizes, weight_left / max(count_left, 1), dtype=torch.float64)
        return cls(drawn, players, torch.cat([known_weights, sampled_weights], dim=1), complete)

    def coalitions(self) -> Bool[Tensor, "B E P"]:
        """All coalitions to evaluate."""
        whole = self.players[:, None]
        return torch.cat([self.drawn, whole & ~self.drawn, whole, torch.zeros_like(whole)], dim=1)

    def unpack(self, values: Float[Tensor, "B E N"]) -> PairedValues:
        """The values of `coalitions`, pair by pair."""
        pairs = self.drawn.shape[1]
        difference = (values[:, :pairs] - values[:, pairs : 2 * pairs]) / 2
        return PairedValues(difference, values[:, -2], values[:, -1])


def _kernel(size: int, players: int, weighting: str) -> float:
    """The weight of all coalitions of one size together."""
    return 1 / (size * (players - size)) if weighting == "shapley" else 1.0


def _enumerated_sizes(number: int, count: int, weighting: str) -> list[int]:
    """The smallest sizes whose coalitions all fit into `count` pairs: where every pair would be drawn once or more."""
    size_weights = {
        s: _kernel(s, number, weighting) * (1 if 2 * s == number else 2) for s in range(1, number // 2 + 1)
    }
    all_fit = count >= 2 ** (number - 1) - 1
    enumerated: list[int] = []
    for size in list(size_weights):
        pairs = comb(number, size) // (2 if 2 * size == number else 1)
        if not all_fit and count * size_weights[size] / sum(size_weights.values()) < pairs:
            break
        enumerated.append(size)
        count -= pairs
        del size_weights[size]
    return enumerated


def _all_of_sizes(
    number: int, enumerated: list[int], weighting: str, players: Tensor
) -> tuple[Bool[Tensor, "B K P"], Float[Tensor, "B K"], float]:
    """One of each pair of complements of the enumerated sizes, its weight, and the weight of all other sizes."""
    sets: list[tuple[int, ...]] = []
    weights: list[float] = []
    for size in enumerated:
        # At half size a set and its complement are of one size: those with player 0 are one of each pair.
        sets_of_size = [s for s in combinations(range(number), size) if 2 * size < number or 0 in s]
        size_weight = _kernel(size, number, weighting) * (2 if 2 * size < number else 1)
        sets += sets_of_size
        weights += [size_weight / len(sets_of_size)] * len(sets_of_size)
    known = torch.zeros(len(sets), number, dtype=torch.bool)
    for place, members in enumerate(sets):
        known[place, list(members)] = True
    weight_left = sum(_kernel(size, number, weighting) for size in range(1, number)) - sum(weights)
    if len(enumerated) == number // 2:
        weight_left = 0.0
    weight = torch.tensor(weights, dtype=torch.float64, device=players.device)
    return (
        known.to(players.device).expand(len(players), -1, -1),
        weight.expand(len(players), -1),
        weight_left,
    )


def _sizes(
    players: Bool[Tensor, "B P"], count: int, weighting: str, enumerated: int, generator: torch.Generator
) -> Int[Tensor, "B K"]:
    """Sizes of `count` coalitions per game besides the `enumerated` smallest and largest sizes.

    They are stratified, and then put in random order.
    """
    player_count = players.sum(-1, keepdim=True)
    size = torch.arange(1, players.shape[1] + 1, device=players.device)[None].double()
    inside = (size < player_count - enumerated) & (size > enumerated)
    ones = torch.ones_like(size)
    kernel = 1 / (size * (player_count - size).clamp(min=1)) if weighting == "shapley" else ones
    law = (kernel * inside).cumsum(-1)
    law = law / law[:, -1:].clamp(min=1e-12)
    shape = (len(players), count)
    chance = uniform_draws(shape, generator, players.device)
    shuffle = uniform_draws(shape, generator, players.device).argsort(-1)
    quantile = (torch.arange(count, device=players.device) + chance.double()) / max(count, 1)
    sizes = 1 + torch.searchsorted(law.contiguous(), quantile.contiguous())
    return torch.minimum(sizes, (player_count - 1).clamp(min=0)).gather(1, shuffle)
