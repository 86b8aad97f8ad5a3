"""The words of the token game, averaged out of the values of image coalitions.

Take a coalition of uniform size among n_i cells and n_t words, eq. 7. The size c of its image part is uniform on
0..n_i, and given c the number s of words in it has the distribution

    P(s | c) = C(n_i, c) C(n_t, s) / C(n_i + n_t, c + s) * (n_i + 1) / (n_i + n_t + 1),

each set of s words being equally likely. The value is an inner product, hence the expectation over the words of an
image coalition's value is the product with one vector, t(c) = Σ_s P(s | c) E[text embedding | s words]. The text
forwards of a caption are shared by all regions and all coalitions of its image, and the only variance that words add is
that of the mean embeddings (Rao-Blackwell), which the two independent halves measure.

Shapes: B captions, K image coalitions, L text positions, D embedding, G = 2 halves.
"""

from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.shapley.coalitions import random_ranks

HALVES = 2


class TextEmbeddings(Protocol):
    """Embeddings of masked texts."""

    def __call__(self, coalitions: Bool[Tensor, "B K L"]) -> Float[Tensor, "B K D"]: ...


def expected_text(
    embed: TextEmbeddings,
    word_mask: Bool[Tensor, "B L"],
    sizes: Int[Tensor, "B K"],
    others: Int[Tensor, "B K"],
    generator: torch.Generator,
) -> Float[Tensor, "G B K D"]:
    """Two independent estimates of t(c) for each image coalition of c = `sizes` out of `others` cells.

    Each costs L + 1 text forwards per caption whatever its length, so that ranks with different captions run the same
    number of forwards. For a caption of n_t words these go to the sizes 0..n_t in turn; odd turns use the reversed
    order of the preceding turn, which minimises overlap.
    """
    batch, length = word_mask.shape
    words = word_mask.sum(-1)[:, None]
    number = torch.arange(length + 1, device=word_mask.device)[None].expand(batch, -1)
    size, turn = number % (words + 1), number // (words + 1)
    drawn = []
    for _ in range(HALVES):
        ranks = random_ranks((batch, length + 1), word_mask[:, None], generator)
        order = number - (turn % 2) * (words + 1)
        ranks = ranks.gather(1, order[..., None].expand_as(ranks))
        low = ranks < size[..., None]
        high = ranks >= (words - size)[..., None]
        drawn.append(torch.where((turn % 2 == 0)[..., None], low, high) & word_mask[:, None])
    embedded = embed(torch.cat(drawn, dim=1)).unflatten(1, (HALVES, length + 1))
    share = (size[:, None] == number[..., None]).to(embedded.dtype)  # [B, sizes, draws]
    share = share / share.sum(-1, keepdim=True).clamp(min=1)
    mean = torch.einsum("bsk,bgkd->gbsd", share, embedded)
    law = word_count_law(sizes, others, words[:, 0], length)
    return torch.einsum("bks,gbsd->gbkd", law.to(mean.dtype), mean)


def word_count_law(
    sizes: Int[Tensor, "B K"], others: Int[Tensor, "B K"], words: Int[Tensor, " B"], length: int
) -> Float[Tensor, "B K S"]:
    """P(s words | c cells) in float64, for s = 0..length; zero beyond a caption's own number of words."""
    number = torch.arange(length + 1, device=sizes.device, dtype=torch.float64)
    c, n_i = sizes.double()[..., None], others.double()[..., None]
    n_t = words.double()[:, None, None]
    s = torch.minimum(number, n_t)
    log = _log_choose(n_i, c) + _log_choose(n_t, s) - _log_choose(n_i + n_t, c + s)
    law = log.exp() * (n_i + 1) / (n_i + n_t + 1)
    return law.masked_fill(number > n_t, 0.0)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
