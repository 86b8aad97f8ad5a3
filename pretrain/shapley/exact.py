"""Exact semantic interactions of regions and phrases (LOUPE eq. 9-10), and enumeration for small games.

The interaction of region i and phrase j is the Shapley interaction index of the pair in v2 (`games.SemanticGame`),

    I_ij = Σ_{S ⊆ others} |S|! (P - |S| - 2)! / (P - 1)! [v2(S ∪ ij) - v2(S ∪ i) - v2(S ∪ j) + v2(S)],

P players in all. v2 is the mean of p1 (each region takes its best phrase) and p2 (the transpose), and in p1 a region
adds a term that depends on the other regions at most through their number. So the sum over 2^(P - 2) coalitions is a
sum over sets of phrases and over a number. With m_i(T) the maximum of region i's softmax when the phrases T are
present:

    absent="zero"   I_ij(p1) = 1/M Σ_T w(|T|) [m_i(T ∪ j) - m_i(T)],  w(t) = t! (N - 1 - t)! / N!
    absent="drop"   joining a other regions, region i changes the mean by (m_i - mean of the others) / (a + 1), and by
                    m_i when a = 0; averaged over a with the distribution of a coalition of uniform size.

Cost O(M N 2^N + N M 2^M) instead of O(M N 2^(M+N)). A side of more than 12 players is sampled: instead of a table of
2^N values, a cumulative sum and maximum along a random order of the phrases give every phrase's gain.

Shapes: B pairs, M rows, N columns (regions and phrases, or phrases and regions), S = 2^N subsets.
"""

import functools
import itertools
from collections.abc import Sequence
from math import comb, factorial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.coalitions import random_ranks
from pretrain.shapley.games import Game, check_absent, mask_or_all

EXACT_PLAYERS = 12


@torch.no_grad()
def semantic_interactions(
    alignment: Float[Tensor, "B M N"],
    region_mask: Bool[Tensor, "B M"] | None = None,
    phrase_mask: Bool[Tensor, "B N"] | None = None,
    absent: str = "zero",
    *,
    orders: int = 256,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B M N"]:
    """I_ij of every region i with every phrase j in v2, in the dtype of `alignment` (float32 for lower ones).

    Padding (False in a mask) is not in the game; its entries are 0. `alignment` is the input of the row-softmax:
    multiply it by an inverse temperature first if the game should have one. A side of at most 12 players is exact.
    A larger one is sampled along `orders` random orders and their reverses, and needs a `generator`.
    Raises InputError for an unknown `absent` and for a missing generator.
    """
    check_absent(absent)
    batch, regions, phrases = alignment.shape
    device = alignment.device
    rows = mask_or_all(region_mask, batch, regions, device)
    columns = mask_or_all(phrase_mask, batch, phrases, device)
    precise = alignment.double()
    from_regions = _one_side(precise, rows, columns, absent, orders, generator)
    from_phrases = _one_side(precise.mT, columns, rows, absent, orders, generator).mT
    result = (from_regions + from_phrases) / 2 * (rows[:, :, None] & columns[:, None, :])
    return result.to(alignment.dtype if alignment.dtype == torch.float64 else torch.float32)


def enumerate_interaction(game: Game, coalition: Sequence[int], players: int) -> float:
    """The Shapley interaction index of `coalition` in a game of `players` players, by its definition.

    Σ_S |S|! (n - |S| - c)! / (n - c + 1)! Σ_{L ⊆ coalition} (-1)^(c - |L|) v(S ∪ L), c = |coalition|: 2^n values, so
    for small games only. `game` holds a single game (B = 1). One member gives its Shapley value.
    """
    inside = sorted(set(coalition))
    outside = [player for player in range(players) if player not in inside]
    size = len(inside)
    sets: list[tuple[int, ...]] = []
    weights: list[float] = []
    for count in range(len(outside) + 1):
        weight = factorial(count) * factorial(players - count - size) / factorial(players - size + 1)
        for others in itertools.combinations(outside, count):
            for part in range(size + 1):
                for members in itertools.combinations(inside, part):
                    sets.append(others + members)
                    weights.append(weight * (-1) ** (size - part))
    coalitions = torch.zeros(1, len(sets), players, dtype=torch.bool)
    for place, members in enumerate(sets):
        coalitions[0, place, list(members)] = True
    values = game(coalitions)[0].double()
    return float(values @ torch.tensor(weights, dtype=torch.float64))


def _one_side(
    alignment: Float[Tensor, "B M N"],
    row_mask: Bool[Tensor, "B M"],
    column_mask: Bool[Tensor, "B N"],
    absent: str,
    orders: int,
    generator: torch.Generator | None,
) -> Float[Tensor, "B M N"]:
    """Interactions in p1, the game in which each row takes its best column."""
    rows, columns = row_mask.sum(-1), column_mask.sum(-1)
    # [B, N]: by the number of other columns present.
    row_weights, other_weights = (
        weights.to(rows.device)[rows, columns] for weights in _size_weights(*alignment.shape[1:], absent)
    )
    if alignment.shape[2] <= EXACT_PLAYERS:
        best = _best_of_subsets(alignment, column_mask, absent)
        gain = _weighted_gains(best, row_weights, column_mask)
        other_gain = _weighted_gains(best, other_weights, column_mask) if absent == "drop" else None
    else:
        if generator is None:
            raise InputError(
                f"{alignment.shape[2]} players on one side; above {EXACT_PLAYERS} they are sampled: pass a generator"
            )
        gain, other_gain = _along_orders(
            alignment, column_mask, absent, row_weights, other_weights, orders, generator
        )
    if other_gain is None:
        return gain
    other_gain = other_gain * row_mask[..., None]
    mean_of_others = (other_gain.sum(1, keepdim=True) - other_gain) / (rows - 1).clamp(min=1)[:, None, None]
    return gain - mean_of_others


@functools.lru_cache(maxsize=64)
def _size_weights(
    most_rows: int, most_columns: int, absent: str
) -> tuple[Float[Tensor, "M+1 N+1 N"], Float[Tensor, "M+1 N+1 N"]]:
    """Weights of the row's gain and of the other rows' mean gain.

    They are indexed by (rows, columns, present columns other than j).

    A coalition of the other M + N - 2 players has uniform size, so one particular set of t columns together with some
    a of the M - 1 rows has probability C(M - 1, a) (a + t)! (M + N - 2 - a - t)! / (M + N - 1)!.
    """
    row_weights = torch.zeros(most_rows + 1, most_columns + 1, most_columns, dtype=torch.float64)
    other_weights = torch.zeros_like(row_weights)
    for m, n in itertools.product(range(1, most_rows + 1), range(1, most_columns + 1)):
        for t in range(n):
            if absent == "zero":
                row_weights[m, n, t] = factorial(t) * factorial(n - 1 - t) / factorial(n) / m
                continue
            for a in range(m):
                ways = comb(m - 1, a) * factorial(a + t) * factorial(m + n - 2 - a - t)
                chance = ways / factorial(m + n - 1) / (a + 1)
                row_weights[m, n, t] += chance
                other_weights[m, n, t] += chance if a else 0.0
    return row_weights, other_weights


def _best_of_subsets(
    alignment: Float[Tensor, "B M N"], column_mask: Bool[Tensor, "B N"], absent: str
) -> Float[Tensor, "B M S"]:
    """m_i(T), the maximum of each row's softmax when the columns T are present: T's bits are its index."""
    powers, zero = _powers(alignment, column_mask, absent)
    # Every column absent: under "zero" they are still in the softmax, each with exp(0).
    total = column_mask.sum(-1)[:, None, None] * zero
    top = zero
    for column in range(alignment.shape[2]):
        power = powers[..., column, None]
        total = torch.cat([total, total + (power - zero)], dim=-1)
        top = torch.cat([top, torch.maximum(top, power)], dim=-1)
    if absent == "zero":
        # No column absent: no zero in the maximum, and none to cancel in the sum, where powers << zero lose all digits.
        weights = 2 ** torch.arange(alignment.shape[2], device=alignment.device)
        whole = (column_mask * weights).sum(-1)[:, None, None].expand(-1, alignment.shape[1], 1)
        top.scatter_(2, whole, powers.amax(-1, keepdim=True))
        total.scatter_(2, whole, powers.sum(-1, keepdim=True))
    return top.div_(total.clamp_(min=1e-300))


def _powers(
    alignment: Float[Tensor, "B M N"], column_mask: Bool[Tensor, "B N"], absent: str
) -> tuple[Float[Tensor, "B M N"], Float[Tensor, "B M 1"]]:
    """exp of the logits, and of an absent column's logit, on a common scale per row; 0 for padding."""
    padded = ~column_mask[:, None]
    shift = alignment.masked_fill(padded, float("-inf")).amax(-1, keepdim=True)
    if absent == "zero":
        shift = shift.clamp(min=0.0)
    shift = shift.masked_fill(shift.isinf(), 0.0)  # a row of padding only
    # At least 1e-280, so that a set of columns with tiny powers still has a maximum.
    powers = (alignment - shift).exp().clamp_(min=1e-280).masked_fill(padded, 0.0)
    return powers, (-shift).exp() if absent == "zero" else torch.zeros_like(shift)


def _weighted_gains(
    best: Float[Tensor, "B M S"], weights: Float[Tensor, "B N"], column_mask: Bool[Tensor, "B N"]
) -> Float[Tensor, "B M N"]:
    """Σ_T w(|T|) [m(T ∪ j) - m(T)] over the sets T of real columns without j, for every column j."""
    count = weights.shape[1]
    number = torch.arange(2**count, device=best.device)
    place = 2 ** torch.arange(count, device=best.device)
    bits = (number[:, None] & place) > 0
    size = bits.sum(-1)
    real = (number & ((~column_mask) * place).sum(-1)[:, None]) == 0
    by_size = torch.nn.functional.pad(weights, (1, 1))
    # m(T) counts as m(T' ∪ j), with the weight of the smaller set T', and as m(T').
    before, after = by_size[:, size] * real, by_size[:, size + 1] * real
    joined = (best * (before + after)[:, None]) @ bits.to(best.dtype)
    return joined - torch.matmul(best, after[..., None])


def _along_orders(
    alignment: Float[Tensor, "B M N"],
    column_mask: Bool[Tensor, "B N"],
    absent: str,
    row_weights: Float[Tensor, "B N"],
    other_weights: Float[Tensor, "B N"],
    orders: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B M N"], Float[Tensor, "B M N"] | None]:
    """Both weighted gains from random orders of the columns, each with its reverse, the same for all rows.

    In a random order the columns before j are a set of uniform size; weights for another distribution of the size are
    importance weights.
    """
    batch, _, count = alignment.shape
    columns = column_mask.sum(-1)
    present = torch.arange(count, device=alignment.device)
    uniform = torch.lgamma(present + 1.0)[None] + torch.lgamma(
        (columns[:, None] - present).clamp(min=1).double()
    )
    uniform = (uniform - torch.lgamma(columns[:, None] + 1.0)).exp()  # t! (n - 1 - t)! / n!
    real = present < columns[:, None]
    powers, zero = _powers(alignment, column_mask, absent)
    gain = torch.zeros_like(alignment)
    other_gain = torch.zeros_like(alignment)
    for _ in range(orders):
        ranks = random_ranks((batch,), column_mask, generator)
        backwards = torch.where(column_mask, columns[:, None] - 1 - ranks, ranks)
        for rank in (ranks, backwards):
            order = rank.argsort(-1)
            along = powers.gather(2, order[:, None].expand_as(powers))
            missing = (columns[:, None] - torch.arange(count + 1, device=zero.device)).clamp(min=0)[:, None]
            total = torch.nn.functional.pad(along.cumsum(-1), (1, 0)) + missing * zero
            top = torch.nn.functional.pad(along.cummax(-1).values, (1, 0))
            top = torch.where(missing > 0, torch.maximum(top, zero), top)
            best = top / total.clamp(min=1e-300)
            step = best.diff(dim=-1) * real[:, None]
            back = rank[:, None].expand_as(step)
            gain += (step * (row_weights / uniform)[:, None]).gather(2, back)
            other_gain += (step * (other_weights / uniform)[:, None]).gather(2, back)
    share = 2 * orders
    return gain / share, other_gain / share if absent == "drop" else None
