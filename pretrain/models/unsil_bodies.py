"""The three bodies of UNSIL, which compute a vector per player or pair from its context (LOUPE appendix D).

The paper describes each in a line or two; norms, widths and residuals are chosen here.

Shapes: B batch, Q queries (the players or pairs), K context tokens, H hidden width. A body takes queries, context and
the context's mask, and returns one vector for each query, which must not depend on the content of padding.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from data_filters.errors import InputError
from pipelines.common.registry import lookup


class MlpAttention(nn.Module):
    """An MLP on queries and one on context, attention from queries to context, a last MLP (eq. 28-30; default).

    A query also attends to itself, so that one without any context still has something to attend to.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query_mlp = _mlp(width)
        self.context_mlp = _mlp(width)
        self.attention = _Attention(width, heads)
        self.out_mlp = _mlp(width)

    def forward(
        self,
        queries: Float[Tensor, "B Q H"],
        context: Float[Tensor, "B K H"],
        context_mask: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B Q H"]:
        """One vector per query."""
        queries = queries + self.query_mlp(queries)
        context = context + self.context_mlp(context)
        mixed = queries + self.attention(
            queries, torch.cat([queries, context], 1), _self_and_context(queries.shape[1], context_mask)
        )
        return mixed + self.out_mlp(mixed)


class Conv1d(nn.Module):
    """The query combined with every context token, two convolutions along the sequence, then the mean (eq. 27).

    The only body for which the order of the context matters; real tokens are moved to the front first, so that
    padding between the modalities is between no two of them.
    """

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__()
        # One matrix over [query; context] in two halves, so that [B, Q, K, 2H] is never built.
        self.join_query = nn.Linear(width, width)
        self.join_context = nn.Linear(width, width, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(2)
        )
        self.out_mlp = _mlp(width)

    def forward(
        self,
        queries: Float[Tensor, "B Q H"],
        context: Float[Tensor, "B K H"],
        context_mask: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B Q H"]:
        """One vector per query."""
        batch, count, width = queries.shape
        order = (~context_mask).to(torch.uint8).argsort(dim=1, stable=True)
        context = context.gather(1, order.unsqueeze(-1).expand_as(context))
        real = context_mask.gather(1, order)
        joined = self.join_query(queries).unsqueeze(2) + self.join_context(context).unsqueeze(1)
        flat = joined.flatten(0, 1).transpose(1, 2)
        mask = real.repeat_interleave(count, 0).unsqueeze(1)
        for convolution in self.convolutions:  # masked before each: padding must be like the sequence's end
            flat = convolution(F.gelu(flat).masked_fill(~mask, 0))
        pooled = flat.masked_fill(~mask, 0).sum(2) / mask.sum(2).clamp(min=1)
        mixed = queries + pooled.view(batch, count, width)
        return mixed + self.out_mlp(mixed)


class Transformer(nn.Module):
    """Pre-norm blocks: context attends to context, a query attends to itself and to the context.

    So the output for a query does not depend on the other queries, and the context is encoded once for all of them.
    """

    def __init__(self, width: int, heads: int, layers: int = 2) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(_Attention(width, heads) for _ in range(layers))
        self.mlps = nn.ModuleList(_mlp(width) for _ in range(layers))

    def forward(
        self,
        queries: Float[Tensor, "B Q H"],
        context: Float[Tensor, "B K H"],
        context_mask: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B Q H"]:
        """One vector per query."""
        count, length = queries.shape[1], context.shape[1]
        for_queries = _self_and_context(count, context_mask)
        # A context token attends to itself too, so that a row of padding alone has something to attend to.
        diagonal = torch.eye(length, dtype=torch.bool, device=context.device)
        for_context = F.pad(context_mask[:, None, :] | diagonal, (count, 0))
        allowed = torch.cat([for_queries, for_context], 1)
        tokens = torch.cat([queries, context], 1)
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            tokens = tokens + attention(tokens, tokens, allowed)
            tokens = tokens + mlp(tokens)
        return tokens[:, :count]


def build_body(name: str, width: int, heads: int) -> nn.Module:
    """Build a body by its name in a recipe. Raises InputError for an unknown one, with those that are known."""
    return lookup(BODIES, name, "unsil body", "set supervision.unsil_body")(width, heads)


BODIES: dict[str, Callable[[int, int], nn.Module]] = {  # name → body of (width, heads)
    "mlp_attention": MlpAttention,
    "conv1d": lambda width, heads: Conv1d(width),
    "transformer": Transformer,
}


class _Attention(nn.Module):
    """Multi-head attention, with a norm before it and a mask of who may attend to whom."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise InputError(
                f"unsil width {width} is not a multiple of its {heads} heads; set supervision.head_width"
            )
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, queries: Float[Tensor, "B Q H"], tokens: Float[Tensor, "B S H"], allowed: Bool[Tensor, "B Q S"]
    ) -> Float[Tensor, "B Q H"]:
        tokens = self.norm(tokens)
        query = self._split(self.query(self.norm(queries)))
        key, value = (self._split(part) for part in self.key_value(tokens).chunk(2, -1))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed.unsqueeze(1))
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _self_and_context(count: int, context_mask: Bool[Tensor, "B K"]) -> Bool[Tensor, "B Q QK"]:
    """Attention mask of `count` queries over queries and context: each to itself, and to real context."""
    diagonal = torch.eye(count, dtype=torch.bool, device=context_mask.device)
    return torch.cat(
        [diagonal.expand(len(context_mask), -1, -1), context_mask.unsqueeze(1).expand(-1, count, -1)], -1
    )


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
    )
