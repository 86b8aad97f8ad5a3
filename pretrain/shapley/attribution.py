"""Values of all players for all phrases from one set of coalitions: the cheap workhorse.

K masked copies of an image are embedded once. Their products with the phrase embeddings are K coalition values for
every phrase, and one regression of values on masks gives every cell's Shapley value for every phrase. Nothing is
evaluated twice: phrases and cells share all K forwards.

Coalitions come with their complements. For a linear model with intercept, v(T) ≈ a + Σ_{i in T} φ_i, the mean of a pair
v(T) + v(T^c) does not depend on how φ is divided, so that weighted least squares over pairs, with or without
KernelSHAP's efficiency constraint (Lundberg and Lee 2017, theorem 2), is a regression on half the differences alone:

    minimise Σ_k w_k (d_k - z_k·φ)^2 + λ |φ|^2,   d_k = (v(T_k) - v(T_k^c)) / 2,   z_k = ±1/2 for in and out.

Shapes: B images, K pairs, P players, N phrases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.coalitions import spread_coalitions
from pretrain.shapley.games import TokenGame

WEIGHTINGS = ("shapley", "uniform")
Values = Callable[[Bool[Tensor, "B E P"]], Float[Tensor, "B E N"]]


@dataclass(frozen=True)
class Attribution:
    """Values of the players, phrase by phrase."""

    values: Float[Tensor, "B N P"]
    error: Float[Tensor, "B N P"]  # standard errors; 0 where every coalition was evaluated
    whole: Float[Tensor, "B N"]  # v of all players, 1 of the evaluations
    empty: Float[Tensor, "B N"]  # v of nobody, another
    evaluations: int  # per image, for all phrases together


def phrase_attributions(
    game: TokenGame,
    phrases: Float[Tensor, "B N D"],
    evaluations: int,
    generator: torch.Generator,
    *,
    ridge: float = 0.0,
    weighting: str = "shapley",
    efficient: bool = True,
    candidates: int = 8,
) -> Attribution:
    """What each cell of an image adds to its similarity with each phrase: [B, N, cells], from `evaluations` forwards.

    `phrases` are unit-length text embeddings (`encode_text` of each phrase by itself, without gradient). For the
    options see `attribute`.
    """
    embeddings = phrases.detach().float()

    def values(coalitions: Bool[Tensor, "B E P"]) -> Float[Tensor, "B E N"]:
        return game.image_embeddings(coalitions) @ embeddings.transpose(1, 2)

    players = game.player_mask[:, : game.cells]
    return attribute(
        values,
        players,
        evaluations,
        generator,
        ridge=ridge,
        weighting=weighting,
        efficient=efficient,
        candidates=candidates,
    )


def attribute(
    values: Values,
    players: Bool[Tensor, "B P"],
    evaluations: int,
    generator: torch.Generator,
    *,
    ridge: float = 0.0,
    weighting: str = "shapley",
    efficient: bool = True,
    candidates: int = 8,
) -> Attribution:
    """Shapley values of N games on the same players, from at most `evaluations` coalitions each.

    `values` maps coalitions [B, E, P] to [B, E, N] and is called once. Two evaluations are the whole and the empty
    coalition, the rest complementary pairs. Sizes with so few coalitions that all would be drawn anyway are evaluated
    whole, each coalition once with its exact weight; the others are drawn in strata of size and spread out
    (`coalitions.spread_coalitions`). With 2^P evaluations that is every coalition, and the values are exact.
    (Where some players are padding, everything is drawn.)

    `weighting`: "shapley" draws sizes by the Shapley kernel 1 / (s (n - s)), whose least squares is the Shapley value;
    "uniform" draws all sizes alike: not the Shapley value, but a fit that minds half-full images as much as others.
    `efficient` holds Σ φ to v(whole) - v(empty); without it the fit is not the Shapley value either. `ridge` is λ in
    units of the mean diagonal of the normal matrix: 0 is unbiased as K grows and needs at least as many pairs as
    players; without the constraint it shrinks values to 0, with it to equal shares.

    Standard errors are those of weighted least squares that is robust to unequal residuals, leverage included (HC3),
    with pairs as independent draws; a ridge's bias is not in them.

    Raises InputError for fewer than 4 evaluations, unknown options, and too few pairs for a regression without ridge.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"weighting is {weighting!r}; allowed are {', '.join(map(repr, WEIGHTINGS))}")
    if ridge < 0:
        raise InputError(f"ridge is {ridge}; allowed are numbers from 0 up")
    number, crowd = players.shape[1], int(players.sum(-1).max().item())
    count = (evaluations - 2) // 2
    if count < 1 and number > 1:
        raise InputError(f"evaluations is {evaluations}; allowed are 4 and more")
    settled = _settled_sizes(number, count, weighting) if bool(players.all()) else []
    known, known_weights, left = _all_of_sizes(number, settled, weighting, players)
    everyone = left <= 0
    if not everyone and ridge == 0 and count < crowd:
        raise InputError(
            f"evaluations is {evaluations}, {count} pairs for {crowd} players; raise it to {2 * crowd + 2} or set ridge"
        )
    more = 0 if everyone else count - known.shape[1]
    sizes = _sizes(players, more, weighting, len(settled), generator)
    drawn = torch.cat([known, spread_coalitions(sizes, players, generator, candidates)], dim=1)
    sampled_weights = torch.full_like(sizes, left / max(more, 1), dtype=torch.float64)
    weights = torch.cat([known_weights, sampled_weights], dim=1)
    all_players = players[:, None]
    coalitions = torch.cat([drawn, all_players & ~drawn, all_players, torch.zeros_like(all_players)], dim=1)
    answers = values(coalitions).double()
    pairs = drawn.shape[1]
    difference = (answers[:, :pairs] - answers[:, pairs : 2 * pairs]) / 2
    whole, empty = answers[:, -2], answers[:, -1]
    fitted, error = _least_squares(drawn, players, weights, difference, whole - empty, ridge, efficient)
    error = torch.zeros_like(error) if everyone and ridge == 0 else error
    return Attribution(fitted, error, whole, empty, coalitions.shape[1])


def _least_squares(
    drawn: Bool[Tensor, "B K P"],
    players: Bool[Tensor, "B P"],
    weights: Float[Tensor, "B K"],
    difference: Float[Tensor, "B K N"],
    total: Float[Tensor, "B N"],
    ridge: float,
    efficient: bool,
) -> tuple[Float[Tensor, "B N P"], Float[Tensor, "B N P"]]:
    real = players.double()
    signs = (drawn.double() - 0.5) * real[:, None]
    weighted = signs * weights[..., None]
    normal = signs.transpose(1, 2) @ weighted
    count = real.sum(-1, keepdim=True)
    scale = normal.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True) / count
    # Padding gets an equation of its own, 1 * φ = 0.
    normal = normal + torch.diag_embed(ridge * scale * real + (1 - real))
    inverse = _inverse(normal, efficient, real)
    solved = weighted @ inverse  # [B, K, P]: what one difference adds to each value
    if efficient:
        start = total[..., None] * (real / count)[:, None]  # equal shares meet the constraint
        rest = difference - signs @ start.transpose(1, 2)
        values = start + (solved.transpose(1, 2) @ rest).transpose(1, 2)
    else:
        values = (solved.transpose(1, 2) @ difference).transpose(1, 2)
    values = values * real[:, None]
    leverage = (solved * signs).sum(-1)
    residual = (difference - signs @ values.transpose(1, 2)) / (1 - leverage).clamp(min=0.05)[..., None]
    variance = torch.einsum("bkp,bkn->bnp", solved.square(), residual.square())
    return values, variance.sqrt() * real[:, None]


def _inverse(
    normal: Float[Tensor, "B P P"], efficient: bool, real: Float[Tensor, "B P"]
) -> Float[Tensor, "B P P"]:
    """Inverse of the normal matrix; with the constraint, on the space of changes that keep Σ φ."""
    if efficient:
        equal = real[..., :, None] * real[..., None, :] / real.sum(-1)[:, None, None]
        away = torch.diag_embed(torch.ones_like(real)) - equal
        normal = away @ normal @ away
    return torch.linalg.pinv(normal, hermitian=True)


def _kernel(size: int, players: int, weighting: str) -> float:
    """How much the coalitions of one size weigh together."""
    return 1 / (size * (players - size)) if weighting == "shapley" else 1.0


def _settled_sizes(number: int, count: int, weighting: str) -> list[int]:
    """The smallest sizes whose coalitions all fit: where drawing would come to every pair once or more."""
    rest = {
        s: _kernel(s, number, weighting) * (1 if 2 * s == number else 2) for s in range(1, number // 2 + 1)
    }
    everything = count >= 2 ** (number - 1) - 1
    settled: list[int] = []
    for size in list(rest):
        pairs = comb(number, size) // (2 if 2 * size == number else 1)
        if not everything and count * rest[size] / sum(rest.values()) < pairs:
            break
        settled.append(size)
        count -= pairs
        del rest[size]
    return settled


def _all_of_sizes(
    number: int, settled: list[int], weighting: str, players: Tensor
) -> tuple[Bool[Tensor, "B K P"], Float[Tensor, "B K"], float]:
    """One of each pair of complements of the settled sizes, its weight, and the weight of all other sizes."""
    sets: list[tuple[int, ...]] = []
    weights: list[float] = []
    for size in settled:
        # At half size a set and its complement are of one size: those with player 0 are one of each pair.
        found = [s for s in combinations(range(number), size) if 2 * size < number or 0 in s]
        sets += found
        weights += [_kernel(size, number, weighting) * (2 if 2 * size < number else 1) / len(found)] * len(
            found
        )
    known = torch.zeros(len(sets), number, dtype=torch.bool)
    for place, members in enumerate(sets):
        known[place, list(members)] = True
    whole = sum(_kernel(size, number, weighting) for size in range(1, number))
    left = whole - sum(weights)
    if len(settled) == number // 2:
        left = 0.0
    weight = torch.tensor(weights, dtype=torch.float64, device=players.device)
    return known.to(players.device).expand(len(players), -1, -1), weight.expand(len(players), -1), left


def _sizes(
    players: Bool[Tensor, "B P"], count: int, weighting: str, settled: int, generator: torch.Generator
) -> Int[Tensor, "B K"]:
    """Sizes of `count` coalitions per game beyond the `settled` smallest and largest, stratified, in random order."""
    crowd = players.sum(-1, keepdim=True)
    size = torch.arange(1, players.shape[1] + 1, device=players.device)[None].double()
    inside = (size < crowd - settled) & (size > settled)
    kernel = 1 / (size * (crowd - size).clamp(min=1)) if weighting == "shapley" else torch.ones_like(size)
    law = (kernel * inside).cumsum(-1)
    law = law / law[:, -1:].clamp(min=1e-12)
    shape = (len(players), count)
    chance = torch.rand(shape, generator=generator, device=generator.device).to(players.device)
    shuffle = torch.rand(shape, generator=generator, device=generator.device).to(players.device).argsort(-1)
    quantile = (torch.arange(count, device=players.device) + chance.double()) / max(count, 1)
    sizes = 1 + torch.searchsorted(law.contiguous(), quantile.contiguous())
    return torch.minimum(sizes, (crowd - 1).clamp(min=0)).gather(1, shuffle)
