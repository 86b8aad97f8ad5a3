"""Converts a Swin of transformers to the names and the layout of timm's (`timm.models.swin_transformer`, timm >= 0.9).

The two compute the same and differ in storage in three ways: timm keeps query, key and value in one matrix, stores the
patch merging with the stage that follows it instead of the one before, and pools outside the trunk. They compute
differently where a map is no multiple of the window: transformers pads and then shifts, timm shifts and then pads;
such a tower cannot be expressed.
"""

from __future__ import annotations

import re
from typing import TypedDict

import torch
from torch import Tensor
from transformers import SwinConfig

from data_filters.errors import InputError


class SwinArguments(TypedDict):
    """Arguments of timm's SwinTransformer, JSON values only; sizes in px, the window in patches."""

    img_size: int
    patch_size: int
    window_size: int
    embed_dim: int
    depths: list[int]
    num_heads: list[int]
    mlp_ratio: float
    qkv_bias: bool


REGISTERED: dict[str, SwinArguments] = {
    f"swin_{size}_patch4_window{window}_{side}": {
        "img_size": side,
        "patch_size": 4,
        "window_size": window,
        "embed_dim": width,
        "depths": [2, 2, depth, 2],
        "num_heads": [width // 32 * 2**stage for stage in range(4)],
        "mlp_ratio": 4.0,
        "qkv_bias": True,
    }
    for size, width, depth, variants in (
        ("tiny", 96, 6, ((7, 224),)),
        ("small", 96, 18, ((7, 224),)),
        ("base", 128, 18, ((7, 224), (12, 384))),
        ("large", 192, 18, ((7, 224), (12, 384))),
    )
    for window, side in variants
}
"""Sizes that timm knows by name, with the arguments of its SwinTransformer."""

_FIXED = {
    "num_channels": 3,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "use_absolute_embeddings": False,
}
"""What timm's Swin has no argument for, by transformers' name."""

_NAMES = [
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^encoder\.layers\.", "layers."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^layernorm\.", "norm."),
]
_QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")


def timm_arguments(config: SwinConfig) -> SwinArguments:
    """Arguments of timm's SwinTransformer that computes what a Swin of this configuration does.

    Raises InputError where timm's Swin computes something else than this one.
    """
    for name, value in _FIXED.items():
        if getattr(config, name) != value:
            raise _inexpressible(f"has {name} {getattr(config, name)!r}, where timm's has {value!r}")
    if not isinstance(config.image_size, int) or not isinstance(config.patch_size, int):
        raise _inexpressible(
            f"takes images of {config.image_size}, patches of {config.patch_size}, not square ones"
        )
    side = config.image_size // config.patch_size
    for stage, depth in enumerate(config.depths):
        if depth > 1 and side % config.window_size:
            raise _inexpressible(
                f"has a map of {side}×{side} in stage {stage + 1}, no multiple of its window {config.window_size}, "
                "and timm pads such a map after its shift instead of before"
            )
        side = (side + 1) // 2
    return {
        "img_size": config.image_size,
        "patch_size": config.patch_size,
        "window_size": config.window_size,
        "embed_dim": config.embed_dim,
        "depths": list(config.depths),
        "num_heads": list(config.num_heads),
        "mlp_ratio": float(config.mlp_ratio),
        "qkv_bias": config.qkv_bias,
    }


def registered_name(arguments: SwinArguments) -> str | None:
    """timm's own name of a Swin with these arguments, or None."""
    return next((name for name, registered in REGISTERED.items() if registered == arguments), None)


def to_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a transformers SwinModel under timm's names."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if re.search(r"\.attention\.[kv]_proj\.", name):
            continue  # written with their query
        if ".attention.q_proj." in name:
            parts = [weights[name.replace("q_proj", part)] for part in _QUERY_KEY_VALUE]
            renamed[_rename(name.replace(".attention.q_proj.", ".attn.qkv."))] = torch.cat(parts)
        else:
            renamed[_rename(name)] = tensor
    return renamed


def _rename(name: str) -> str:
    for pattern, new in _NAMES:
        name = re.sub(pattern, new, name)
    return re.sub(
        r"^layers\.(\d+)\.downsample\.", lambda match: f"layers.{int(match[1]) + 1}.downsample.", name
    )


def _inexpressible(what: str) -> InputError:
    return InputError(
        f"format is open-clip, but the run's Swin {what}; use --format huggingface or --format onnx"
    )
