"""UNSIL: predicts Shapley interactions and the uncertainty of the prediction (LOUPE section 3.4, appendix D).

Shapes: B batch, M regions, N phrases, C patch tokens, L word tokens, D width of the embeddings, H hidden
width. Padded players are ignored: their content, NaN included, changes nothing for real ones, and their
prediction is 0.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pretrain.models.running_statistics import InteractionScale
from pretrain.models.unsil_bodies import build_body

# σ lies in (SIGMA_MIN, 1 - SIGMA_MIN): 1/σ in the loss stays below 1000, and the rule u > σ keeps a chance of both
# outcomes.
SIGMA_MIN = 1e-3
# A new head predicts σ = 0.88, so that the rule samples almost every interaction.
INITIAL_UNCERTAINTY_LOGIT = 2.0


class Prediction(NamedTuple):
    """UNSIL's output for each player or pair (shape "..." is M, or M N)."""

    interaction: Float[Tensor, "B ..."]
    """Î in the game's units (differences of cosines), without gradient: used as a soft target."""
    relative: Float[Tensor, "B ..."]
    """Î in units of the running scale, with gradient: for the loss."""
    uncertainty: Float[Tensor, "B ..."]
    """σ in (0, 1), with gradient."""
    added: Float[Tensor, "B M D"] | None = None
    """What a region adds to its image's embedding, in units of the running scale, with gradient; its product with the
    caption's embedding is `relative`. None where the interaction itself is predicted."""


def untrained(real: Bool[Tensor, "B M"], dim: int | None = None) -> Prediction:
    """Return what a new head predicts, without running one: no interaction, at high uncertainty.

    With `dim`, also what is predicted of embeddings of that width.
    """
    nothing = torch.zeros(real.shape, device=real.device)
    sigma = SIGMA_MIN + (1 - 2 * SIGMA_MIN) * torch.sigmoid(nothing + INITIAL_UNCERTAINTY_LOGIT)
    added = None if dim is None else nothing[..., None].expand(*real.shape, dim)
    return Prediction(nothing, nothing, sigma.masked_fill(~real, 0.5), added)


class TokenUnsil(nn.Module):
    """Predicts, at token level, I([R]) of each region of patches, from the region and all patches and words.

    `detach` keeps the loss from the towers, which should not learn to be easy to predict. `scale` is the running
    scale of the interactions; `scale.update` is called with each step's samples. With `of_embedding` what a region adds
    to the embedding of its image is predicted, whose product with any text is the interaction for that text: one
    prediction serves the caption and every phrase.
    """

    def __init__(
        self,
        dim: int,
        *,
        width: int = 256,
        heads: int = 4,
        body: str = "mlp_attention",
        detach: bool = True,
        of_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.detach = detach
        self.region, self.patch, self.word = _inlet(dim, width), _inlet(dim, width), _inlet(dim, width)
        self.box = nn.Linear(4, width)
        self.body = build_body(body, width, heads)
        self.readout = _Readout(width, dim if of_embedding else None)
        self.scale = InteractionScale()

    def forward(
        self,
        regions: Float[Tensor, "B M D"],
        boxes: Float[Tensor, "B M 4"],
        region_mask: Bool[Tensor, "B M"],
        patches: Float[Tensor, "B C D"],
        words: Float[Tensor, "B L D"],
        word_mask: Bool[Tensor, "B L"],
        texts: Float[Tensor, "B D"] | None = None,
    ) -> Prediction:
        """One prediction per region; `boxes` are (centre x, centre y, width, height), fractions of the image.

        `texts` are the captions' embeddings, which a prediction of embeddings is multiplied by.

        The box is an input as well as the embedding because the sign and magnitude of I([R]) depend on the region's
        size, which the mean over its patches does not contain.
        """
        dtype = self.box.weight.dtype
        regions = _clean(regions, region_mask, self.detach, dtype)
        words = _clean(words, word_mask, self.detach, dtype)
        patches = (patches.detach() if self.detach else patches).to(dtype)
        boxes = _clean(boxes, region_mask, self.detach, dtype)
        queries = self.region(regions) + self.box(boxes)
        context = torch.cat([self.patch(patches), self.word(words)], 1)
        patch_mask = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
        context_mask = torch.cat([patch_mask, word_mask], 1)
        return self.readout(self.body(queries, context, context_mask), region_mask, self.scale, texts)


class SemanticUnsil(nn.Module):
    """Predicts, at semantic level, the interaction of every region with every phrase, from the pair and all players."""

    def __init__(
        self,
        dim: int,
        *,
        width: int = 256,
        heads: int = 4,
        body: str = "mlp_attention",
        detach: bool = True,
    ) -> None:
        super().__init__()
        self.detach = detach
        self.region, self.phrase = _inlet(dim, width), _inlet(dim, width)
        self.alignment = nn.Linear(1, width)
        self.context_region, self.context_phrase = _inlet(dim, width), _inlet(dim, width)
        self.body = build_body(body, width, heads)
        self.readout = _Readout(width)
        self.scale = InteractionScale()

    def forward(
        self,
        regions: Float[Tensor, "B M D"],
        phrases: Float[Tensor, "B N D"],
        region_mask: Bool[Tensor, "B M"],
        phrase_mask: Bool[Tensor, "B N"],
    ) -> Prediction:
        """One prediction per (region, phrase), [B, M, N].

        A pair's input is the sum and the product of its two projections, and its inner product, from which the game's
        value is computed.
        """
        dtype = self.alignment.weight.dtype
        regions = _clean(regions, region_mask, self.detach, dtype)
        phrases = _clean(phrases, phrase_mask, self.detach, dtype)
        inner = (regions @ phrases.mT).unsqueeze(-1)
        rows, columns = self.region(regions).unsqueeze(2), self.phrase(phrases).unsqueeze(1)
        pairs = rows + columns + rows * columns + self.alignment(inner)
        context = torch.cat([self.context_region(regions), self.context_phrase(phrases)], 1)
        context_mask = torch.cat([region_mask, phrase_mask], 1)
        real = region_mask.unsqueeze(2) & phrase_mask.unsqueeze(1)
        hidden = self.body(pairs.flatten(1, 2), context, context_mask).unflatten(1, pairs.shape[1:3])
        return self.readout(hidden, real, self.scale)


class _Readout(nn.Module):
    """Î and σ from a body's output. Its last layer starts at zero: Î = 0 and a high σ at first.

    With `dim` it is an embedding of that width that is predicted, and Î its product with a text.
    """

    def __init__(self, width: int, dim: int | None = None) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.out = nn.Linear(width, 2 if dim is None else dim + 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, hidden: Tensor, real: Tensor, scale: InteractionScale, texts: Tensor | None = None
    ) -> Prediction:
        # fp32 from here on: bf16 has too few digits for (1/σ) times a squared error.
        outputs = self.out(self.hidden(hidden)).float()
        values, logit, added = outputs[..., :-1], outputs[..., -1], None
        if texts is None:
            relative = values[..., 0].masked_fill(~real, 0)
        else:
            added = values.masked_fill(~real[..., None], 0)
            relative = (added @ texts.detach().float()[..., None])[..., 0]
        sigma = SIGMA_MIN + (1 - 2 * SIGMA_MIN) * torch.sigmoid(logit + INITIAL_UNCERTAINTY_LOGIT)
        return Prediction(relative.detach() * scale(), relative, sigma.masked_fill(~real, 0.5), added)


def _inlet(dim: int, width: int) -> nn.Sequential:
    """Normalises unit-length embeddings, whose entries are of the order 1/√D, and projects them."""
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width))


def _clean(tokens: Tensor, mask: Tensor, detach: bool, dtype: torch.dtype) -> Tensor:
    """Set padding to 0, and cast to the dtype of the head's parameters (tokens come in that of the towers)."""
    tokens = tokens.masked_fill(~mask.unsqueeze(-1), 0).to(dtype)
    return tokens.detach() if detach else tokens
