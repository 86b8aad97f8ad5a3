"""Token-wise maximum similarity of every image with every text, in blocks of bounded memory (FILIP eq. 3-5).

The tensor of all token pairs, images × texts × patches × words, never exists as a whole.

Shapes: I images, T texts, P tokens of an image, L tokens of a text, D width.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Direction = Literal["image", "text", "both"]

# Elements of the largest tensor that exists at once, in fp32: 4 MiB on a CPU, whose caches are small, and 256 MiB on a
# GPU.
CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**26}


def token_similarity(
    images: Float[Tensor, "I P D"],
    texts: Float[Tensor, "T L D"],
    image_mask: Bool[Tensor, "I P"],
    text_mask: Bool[Tensor, "T L"],
    *,
    direction: Direction = "both",
    chunk_elements: int | None = None,
) -> tuple[Float[Tensor, "I T"], Float[Tensor, "I T"]]:
    """Return (s_image, s_text): the highest inner product of each token on the other side, averaged over one side.

    s_image[i, t] = mean over the real tokens p of image i of max over the real tokens l of text t of <p, l>;
    s_text[i, t] = mean over the real tokens l of text t of max over the real tokens p of image i of <p, l>.
    A mask is True at real tokens. An item without real tokens has similarity 0 to all others and no gradient. A
    direction other than `direction` is not computed and is returned empty (shape [0]).

    The forward and the backward pass work on blocks of images × texts, so that at most `chunk_elements` token pairs
    exist at once; the backward pass computes each block again instead of keeping it. Results are fp32, or fp64 for
    fp64 input.
    """
    # Padding may hold any value, NaN included; it must not count.
    images = images.masked_fill(~image_mask.unsqueeze(-1), 0)
    texts = texts.masked_fill(~text_mask.unsqueeze(-1), 0)
    limit = chunk_elements or CHUNK_ELEMENTS.get(images.device.type, CHUNK_ELEMENTS["cpu"])
    return _TokenSimilarity.apply(images, texts, image_mask, text_mask, direction, limit)


def best_match(
    tokens: Float[Tensor, "I P D"],
    others: Float[Tensor, "T L D"],
    others_mask: Bool[Tensor, "T L"],
    *,
    chunk_elements: int | None = None,
) -> Float[Tensor, "I P"]:
    """Return each token's highest inner product with any real token of any item of `others`; without gradient.

    0 when `others` has no real token.
    """
    with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
        candidates = others[others_mask]
        limit = chunk_elements or CHUNK_ELEMENTS.get(tokens.device.type, CHUNK_ELEMENTS["cpu"])
        rows = max(1, limit // max(1, len(candidates)))
        if not len(candidates):
            return tokens.new_zeros(tokens.shape[:2])
        return torch.cat([(part @ candidates.T).amax(1) for part in tokens.flatten(0, 1).split(rows)]).view(
            tokens.shape[:2]
        )


class _TokenSimilarity(torch.autograd.Function):
    """`token_similarity` in blocks; the backward pass computes each block of inner products again."""

    # Any: autograd's context object takes any attribute; torch gives it no type that allows this.
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        texts: Tensor,
        image_mask: Tensor,
        text_mask: Tensor,
        direction: Direction,
        limit: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(images, texts, image_mask, text_mask)
        ctx.direction, ctx.limit = direction, limit
        wide = torch.promote_types(images.dtype, torch.float32)
        shape = (len(images), len(texts))
        s_image = images.new_zeros(shape if direction != "text" else (0,), dtype=wide)
        s_text = images.new_zeros(shape if direction != "image" else (0,), dtype=wide)
        per_image, per_text = _weights(image_mask, wide), _weights(text_mask, wide)
        with torch.autocast(images.device.type, enabled=False):
            for i, t in _blocks(images, texts, limit):
                block = _pairs(images[i], texts[t])
                if direction != "text":
                    best = block.masked_fill(~text_mask[t], -math.inf).amax(3).to(wide)
                    best = best.masked_fill(~text_mask[t].any(1), 0)
                    s_image[i, t] = torch.einsum("ipt,ip->it", best, per_image[i])
                if direction != "image":
                    best = block.masked_fill_(~image_mask[i, :, None, None], -math.inf).amax(1).to(wide)
                    best = best.masked_fill(~image_mask[i].any(1)[:, None, None], 0)
                    s_text[i, t] = torch.einsum("itl,tl->it", best, per_text[t])
        return s_image, s_text

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, texts, image_mask, text_mask = ctx.saved_tensors
        image_gradients, text_gradients = gradients
        narrow, wide = images.dtype, torch.promote_types(images.dtype, torch.float32)
        images_gradient = images.new_zeros(images.shape, dtype=wide)
        texts_gradient = texts.new_zeros(texts.shape, dtype=wide)
        if (
            images.dtype == torch.float16
        ):  # a slope is divided by batch size and token count: too small for fp16
            images, texts = images.to(wide), texts.to(wide)
        per_image, per_text = _weights(image_mask, wide), _weights(text_mask, wide)
        # A text without real tokens has no best match: the gradient of its column is dropped, whatever its value.
        with torch.autocast(images.device.type, enabled=False):
            for i, t in _blocks(images, texts, ctx.limit):
                block = _pairs(images[i], texts[t])
                partner_of_patch = partner_of_word = None
                if ctx.direction != "text":
                    partner_of_patch = block.masked_fill(~text_mask[t], -math.inf).argmax(3, keepdim=True)
                if ctx.direction != "image":
                    block.masked_fill_(~image_mask[i, :, None, None], -math.inf)
                    partner_of_word = block.argmax(1, keepdim=True)
                # The block's memory is used again for d(loss)/d(inner product), which is non-zero only at the partners.
                slope = block.zero_()
                if partner_of_patch is not None:
                    share = (
                        per_image[i][:, :, None] * (image_gradients[i, t] * text_mask[t].any(1))[:, None, :]
                    )
                    slope.scatter_add_(3, partner_of_patch, share.unsqueeze(3).to(slope.dtype))
                if partner_of_word is not None:
                    share = (
                        per_text[t][None] * (text_gradients[i, t] * image_mask[i].any(1)[:, None])[:, :, None]
                    )
                    slope.scatter_add_(1, partner_of_word, share.unsqueeze(1).to(slope.dtype))
                flat = slope.view(slope.shape[0] * slope.shape[1], -1)
                images_gradient[i] += (flat @ texts[t].flatten(0, 1)).view_as(images_gradient[i])
                texts_gradient[t] += (flat.T @ images[i].flatten(0, 1)).view_as(texts_gradient[t])
        return images_gradient.to(narrow), texts_gradient.to(narrow), None, None, None, None


def _pairs(images: Tensor, texts: Tensor) -> Tensor:
    """Return the inner products of all token pairs of a block: [i, P, t, L]."""
    return (images.flatten(0, 1) @ texts.flatten(0, 1).T).view(*images.shape[:2], *texts.shape[:2])


def _weights(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 1 / (number of real tokens of the item) at each real token, 0 at padding."""
    return mask.to(dtype) / mask.sum(1, keepdim=True).clamp(min=1)


def _blocks(images: Tensor, texts: Tensor, limit: int) -> Iterator[tuple[slice, slice]]:
    """Yield nearly square blocks of images × texts of at most `limit` token pairs, but at least one image and text."""
    pairs = max(1, limit // (images.shape[1] * texts.shape[1]))
    height = min(len(images), max(1, math.isqrt(pairs)))
    width = min(len(texts), max(1, pairs // max(1, height)))
    for top in range(0, len(images), max(1, height)):
        for left in range(0, len(texts), max(1, width)):
            yield slice(top, top + height), slice(left, left + width)
