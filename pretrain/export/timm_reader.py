"""The forward pass of timm's Swin from its state dict, in plain torch; checks an export before it is put in place.

Written from timm's definition (`timm.models.swin_transformer`, timm 1.0), not from transformers', so that a wrong
name, order or layout in an export gives another embedding.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.export.timm_layout import SwinArguments


def swin_features(
    weights: dict[str, Tensor], arguments: SwinArguments, pixels: Float[Tensor, "B 3 S S"]
) -> Float[Tensor, "B W"]:
    """Mean of the normalised last map, which `SwinTransformer(**arguments, num_classes=0)` returns; no dropout.

    Raises KeyError where a tensor of that model is not in `weights`; ValueError where one is too many.
    """
    left = dict(weights)

    def take(name: str) -> tuple[Tensor, Tensor]:
        return left.pop(f"{name}.weight"), left.pop(f"{name}.bias")

    x = F.conv2d(pixels, *take("patch_embed.proj"), stride=arguments["patch_size"]).permute(0, 2, 3, 1)
    x = _norm(x, *take("patch_embed.norm"))
    for stage, (depth, heads) in enumerate(zip(arguments["depths"], arguments["num_heads"], strict=True)):
        if stage:
            x = _norm(_merge(x), *take(f"layers.{stage}.downsample.norm"))
            x = F.linear(x, left.pop(f"layers.{stage}.downsample.reduction.weight"))
        window = min(arguments["window_size"], x.shape[1])
        for number in range(depth):
            block = f"layers.{stage}.blocks.{number}"
            shift = window // 2 if number % 2 and x.shape[1] > window else 0
            qkv = (
                take(f"{block}.attn.qkv")
                if arguments["qkv_bias"]
                else (left.pop(f"{block}.attn.qkv.weight"), None)
            )
            bias = left.pop(f"{block}.attn.relative_position_bias_table")[_offsets(window)].permute(2, 0, 1)
            mixed = _attend(_norm(x, *take(f"{block}.norm1")), qkv, bias, heads, window, shift)
            x = x + F.linear(mixed, *take(f"{block}.attn.proj"))
            hidden = F.gelu(F.linear(_norm(x, *take(f"{block}.norm2")), *take(f"{block}.mlp.fc1")))
            x = x + F.linear(hidden, *take(f"{block}.mlp.fc2"))
    x = _norm(x, *take("norm"))
    if left:
        raise ValueError(f"timm's Swin has no {', '.join(sorted(left)[:5])}")
    return x.mean((1, 2))


def _norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-5)


def _merge(x: Float[Tensor, "B S S W"]) -> Float[Tensor, "B H H 4W"]:
    """Join each 2×2 square into one token: left column first, each column from the top."""
    x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)


def _attend(
    x: Float[Tensor, "B S S W"],
    qkv: tuple[Tensor, Tensor | None],
    bias: Float[Tensor, "H N N"],
    heads: int,
    window: int,
    shift: int,
) -> Float[Tensor, "B S S W"]:
    """Attention inside windows of the map shifted by (shift, shift), masked across the edges that the shift joined."""
    side = x.shape[1]
    padding = -side % window
    x = F.pad(x.roll((-shift, -shift), (1, 2)), (0, 0, 0, padding, 0, padding))
    windows = _windows(x, window)  # [B, number of windows, N, W]
    query, key, value = F.linear(windows, *qkv).unflatten(-1, (3, heads, -1)).permute(3, 0, 1, 4, 2, 5)
    scores = query @ key.mT * query.shape[-1] ** -0.5 + bias
    if shift:
        place = torch.arange(side)
        strip = (place >= side - window).long() + (place >= side - shift)
        region = _windows((3 * strip[:, None] + strip)[None, :, :, None].float(), window).squeeze(-1)
        scores = scores - 100.0 * (region[:, :, None, :, None] != region[:, :, None, None, :])
    mixed = (scores.softmax(-1) @ value).transpose(2, 3).flatten(3)
    count = x.shape[1] // window
    rows = mixed.unflatten(1, (count, count)).unflatten(3, (window, window)).transpose(2, 3)
    return rows.reshape(x.shape)[:, :side, :side].roll((shift, shift), (1, 2))


def _windows(x: Float[Tensor, "B S S W"], window: int) -> Float[Tensor, "B K N W"]:
    count = x.shape[1] // window
    squares = x.unflatten(2, (count, window)).unflatten(1, (count, window)).transpose(2, 3)
    return squares.flatten(3, 4).flatten(1, 2)


def _offsets(window: int) -> Int[Tensor, "N N"]:
    """For each pair of places in a window the row of the bias table: (row offset, column offset) as one number."""
    place = torch.arange(window * window)
    row = place[:, None] // window - place // window + window - 1
    column = place[:, None] % window - place % window + window - 1
    return row * (2 * window - 1) + column
