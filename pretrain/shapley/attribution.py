"""Shapley values of all players for all phrases from one set of coalitions.

K masked copies of an image are embedded once. Their products with the phrase embeddings are K coalition values for
every phrase, and one regression of values on masks gives every cell's Shapley value for every phrase. Nothing is
evaluated twice: phrases and cells share all K forwards.

Coalitions come with their complements. For a linear model with intercept, v(T) ≈ a + Σ_{i in T} φ_i, the mean of a pair
v(T) + v(T^c) does not depend on how φ is divided, so that weighted least squares over pairs, with or without
KernelSHAP's efficiency constraint (Lundberg and Lee 2017, theorem 2), is a regression on half the differences alone:

    minimise Σ_k w_k (d_k - z_k·φ)^2 + λ |φ|^2,   d_k = (v(T_k) - v(T_k^c)) / 2,   z_k = ±1/2 for in and out.

Shapes: B images, K pairs, E evaluations, P players, N phrases.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.shapley.games import TokenGame
from pretrain.shapley.paired_layout import WEIGHTINGS, PairedLayout, PairedValues

Values = Callable[[Bool[Tensor, "B E P"]], Float[Tensor, "B E N"]]


@dataclass(frozen=True)
class Attribution:
    """Values of the players, phrase by phrase."""

    values: Float[Tensor, "B N P"]
    error: Float[Tensor, "B N P"]  # standard errors; 0 where every coalition was evaluated
    whole: Float[Tensor, "B N"]  # v of all players, one of the evaluations
    empty: Float[Tensor, "B N"]  # v of no player, another
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

    return attribute(
        values,
        game.player_mask[:, : game.cells],
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
    coalition, the rest complementary pairs (`paired_layout.py`). With 2^P evaluations every coalition is evaluated,
    and the values are exact. (Where some players are padding, everything is drawn.)

    `weighting`: "shapley" draws sizes by the Shapley kernel 1 / (s (n - s)), whose least squares is the Shapley value;
    "uniform" draws all sizes alike: not the Shapley value, but a fit that gives half-full images the same weight.
    `efficient` constrains Σ φ to v(whole) - v(empty); without it the fit is not the Shapley value either. `ridge` is λ
    in units of the mean diagonal of the normal matrix: 0 is unbiased as K grows and needs at least as many pairs as
    players; without the constraint it shrinks values to 0, with it to equal shares.

    Standard errors are those of weighted least squares that is robust to unequal residuals, leverage included (HC3),
    with pairs as independent draws; a ridge's bias is not in them.

    Raises InputError for fewer than 4 evaluations, unknown options, and too few pairs for a regression without ridge.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"weighting is {weighting!r}; allowed are {', '.join(map(repr, WEIGHTINGS))}")
    if ridge < 0:
        raise InputError(f"ridge is {ridge}; allowed are numbers from 0 up")
    count, most_players = (evaluations - 2) // 2, int(players.sum(-1).max().item())
    if count < 1 and players.shape[1] > 1:
        raise InputError(f"evaluations is {evaluations}; allowed are 4 and more")
    layout = PairedLayout.of(players, count, weighting, generator, candidates)
    if not layout.complete and ridge == 0 and count < most_players:
        raise InputError(
            f"evaluations is {evaluations}, {count} pairs for {most_players} players; "
            f"raise it to {2 * most_players + 2} or set ridge"
        )
    coalitions = layout.coalitions()
    worth = layout.unpack(values(coalitions).double())
    fitted, error = _least_squares(layout, worth, ridge, efficient)
    error = torch.zeros_like(error) if layout.complete and ridge == 0 else error
    return Attribution(fitted, error, worth.whole, worth.empty, coalitions.shape[1])


def _least_squares(
    layout: PairedLayout, worth: PairedValues, ridge: float, efficient: bool
) -> tuple[Float[Tensor, "B N P"], Float[Tensor, "B N P"]]:
    """The fitted values and their standard errors; 0 for padding."""
    real = layout.players.double()
    signs = (layout.drawn.double() - 0.5) * real[:, None]
    weighted = signs * layout.weights[..., None]
    normal = signs.transpose(1, 2) @ weighted
    count = real.sum(-1, keepdim=True)
    scale = normal.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True) / count
    # Padding gets an equation of its own, 1 * φ = 0.
    normal = normal + torch.diag_embed(ridge * scale * real + (1 - real))
    inverse = _inverse(normal, efficient, real)
    solved = weighted @ inverse  # [B, K, P]: what one difference adds to each value
    difference = worth.difference
    if efficient:
        # Equal shares meet the constraint; the regression fits the deviations from them.
        shares = (worth.whole - worth.empty)[..., None] * (real / count)[:, None]
        deviation = difference - signs @ shares.transpose(1, 2)
        values = shares + (solved.transpose(1, 2) @ deviation).transpose(1, 2)
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
        mean = real[..., :, None] * real[..., None, :] / real.sum(-1)[:, None, None]
        deviations = torch.diag_embed(torch.ones_like(real)) - mean
        normal = deviations @ normal @ deviations
    return torch.linalg.pinv(normal, hermitian=True)
