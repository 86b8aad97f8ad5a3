"""Maps of where a text is, from a CLIP whose last attention is exchanged: the dense baselines of the literature.

A vision transformer's class token gathers what the image shows from anywhere, and so do its patch tokens. These methods
let each patch token attend to what is like it or near it. Nothing is trained. They are defined where the last block
attends over the whole map: in ViTs. In a Swin it attends within windows, in a FocalNet there is no attention.

Shapes: N texts, C cells, T = 1 + C tokens (the class token first), D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.vit.modeling_vit import ViTAttention

from data_filters.errors import InputError
from pretrain.evaluation.token_encoder import TokenEncoder

ATTENTIVE_KINDS = ("vit",)
"""Kinds of towers whose last block attends over the whole map."""
NEIGHBOURHOOD = 5.0
"""Standard deviation in patches of NACLIP's Gaussian: that of its authors."""

Weights = Callable[[Tensor, Tensor], Tensor]
"""(queries, keys), both [heads, T, width] → weights of each token's attention to each [heads, T, T]."""


def maskclip_maps(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], texts: Float[Tensor, "N D"]
) -> Float[Tensor, "N C"]:
    """MaskCLIP (Zhou et al., ECCV 2022): in the last block each token attends to itself alone.

    What it then has of the image is its own value. Raises InputError for a tower without such an attention.
    """

    def itself(queries: Tensor, keys: Tensor) -> Tensor:
        return torch.eye(queries.shape[1]).to(queries).expand(len(queries), -1, -1)

    with _attending(_last_block(encoder, "maskclip"), itself):
        return _similarity(encoder, pixels, texts)


def sclip_maps(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], texts: Float[Tensor, "N D"]
) -> Float[Tensor, "N C"]:
    """SCLIP (Wang et al., ECCV 2024): tokens attend to those of alike queries, and to those of alike keys.

    The weights are softmax(q qᵀ) + softmax(k kᵀ). Raises InputError for a tower without such an attention.
    """

    def correlated(queries: Tensor, keys: Tensor) -> Tensor:
        return _alike(queries).softmax(-1) + _alike(keys).softmax(-1)

    with _attending(_last_block(encoder, "sclip"), correlated):
        return _similarity(encoder, pixels, texts)


def naclip_maps(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], texts: Float[Tensor, "N D"]
) -> Float[Tensor, "N C"]:
    """NACLIP (Hajimiri et al., WACV 2025): patches attend to those of alike keys nearby.

    The weights are softmax(k kᵀ + a Gaussian of the distance), and the last block has neither its residual connection
    nor its MLP. Raises InputError for a tower without such an attention.
    """

    def nearby(queries: Tensor, keys: Tensor) -> Tensor:
        return (_alike(keys) + neighbourhood(encoder.grid).to(keys)).softmax(-1)

    with _attending(_last_block(encoder, "naclip"), nearby, whole_block=False):
        return _similarity(encoder, pixels, texts)


def neighbourhood(grid: tuple[int, int], deviation: float = NEIGHBOURHOOD) -> Float[Tensor, "T T"]:
    """exp(−distance² / (2 deviation²)) of each two patches, distances in patches; 0 to and from the class token."""
    rows, columns = grid
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).float()
    gaussian = (-torch.cdist(places, places).square() / (2 * deviation**2)).exp()
    return F.pad(gaussian, (1, 0, 1, 0))


def _alike(vectors: Float[Tensor, "heads T width"]) -> Float[Tensor, "heads T T"]:
    """Inner product of each two vectors, scaled as attention scales it."""
    return vectors @ vectors.mT * vectors.shape[-1] ** -0.5


def _similarity(encoder: TokenEncoder, pixels: Tensor, texts: Tensor) -> Float[Tensor, "N C"]:
    """Cosine of each patch token with each text, less the image's mean."""
    similar = texts @ encoder.patches(pixels)[0].T
    return similar - similar.mean(-1, keepdim=True)


def _last_block(encoder: TokenEncoder, method: str) -> nn.Module:
    """The last block of the image tower. Raises InputError where it does not attend over the whole map."""
    tower = encoder.dual.vision_model
    kind = tower.config.model_type
    if kind not in ATTENTIVE_KINDS:
        raise InputError(
            f"proposals is {method!r}, which needs a last block that attends over the whole map, but the export's "
            f"image tower is {kind}; allowed are exports with {', '.join(ATTENTIVE_KINDS)} as model.image.kind; "
            "use pixel or gradcam with this one"
        )
    blocks = tower.get_submodule("layers")
    assert isinstance(blocks, nn.ModuleList)
    return blocks[-1]


@contextmanager
def _attending(block: nn.Module, weights: Weights, *, whole_block: bool = True) -> Iterator[None]:
    """Attend by other weights in a block while the context is open.

    Without `whole_block` what it attends to is all that the block gives: no residual connection, no MLP.
    """
    attention = block.get_submodule("attention")
    assert isinstance(attention, ViTAttention)

    def exchanged(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> tuple[Tensor, None]:
        return _attended(attention, inputs[0], weights), None

    def alone(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> Tensor:
        return _attended(attention, module.get_submodule("layernorm_before")(inputs[0]), weights)

    handle = attention.register_forward_hook(exchanged) if whole_block else block.register_forward_hook(alone)
    try:
        yield
    finally:
        handle.remove()


def _attended(
    attention: ViTAttention, tokens: Float[Tensor, "1 T width"], weights: Weights
) -> Float[Tensor, "1 T width"]:
    """What an attention gives of one image's tokens with other weights."""

    def heads(projection: nn.Module) -> Float[Tensor, "heads T width"]:
        return projection(tokens[0]).unflatten(-1, (attention.num_attention_heads, -1)).transpose(0, 1)

    mixed = weights(heads(attention.q_proj), heads(attention.k_proj)) @ heads(attention.v_proj)
    return attention.o_proj(mixed.transpose(0, 1).flatten(1))[None]
