"""Kinds of image towers: where each keeps its patch embeddings, its patch tokens and its map.

A new kind is one entry of `IMAGE_KINDS`. Every kind has a pooled output [B, W], which a stock dual encoder projects.

Shapes: B batch, C cells of the last map, N input patches, W channels of the last map, h w its rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from data_filters.errors import InputError


def _of_stages(config: PreTrainedConfig) -> int:
    """Patches along a cell's side where every stage but the first merges 2×2."""
    return int(2 ** (len(config.depths) - 1))


def _hidden_size(config: PreTrainedConfig) -> int:
    return int(config.hidden_size)


@dataclass(frozen=True)
class ImageKind:
    """How the image towers of one model type of transformers are read."""

    patches: str
    """Module whose output is the input patch embeddings, [B, N, W'] or [B, W', rows, columns]; after a norm, which
    would cancel factors that multiply the embeddings."""
    blocks: tuple[str, ...]
    """Names of the lists of modules that lead to the tower's last block: the last of each list holds the next."""
    first_tokens: Callable[[PreTrainedConfig], int] = field(default=lambda config: 0)
    """Tokens before those of the patches: class token, registers."""
    merging: Callable[[PreTrainedConfig], int] = field(default=lambda config: 1)
    """Input patches along the side of a cell."""
    width: Callable[[PreTrainedConfig], int] = field(default=_hidden_size)
    """Channels of the last map and of the pooled output."""
    norm: str | None = None
    """Module that the tower applies to its pooled output alone; patch tokens go through it too, so that the projection
    gets tokens of the space that it was made for."""
    any_size: bool = False
    """Whether images of other sizes than the config's are taken; else the config's size is the only one."""
    recomputes: bool = True
    """Whether transformers can recompute activations in the backward pass (`engine.activation_checkpointing`)."""

    def tokens(self, tower: PreTrainedModel, last: Tensor) -> Float[Tensor, "B C W"]:
        """Patch tokens, row by row, of the tower's `last_hidden_state` ([B, T, W] or [B, W, h, w])."""
        rows = last.flatten(2).transpose(1, 2) if last.ndim == 4 else last
        rows = rows[:, self.first_tokens(tower.config) :]
        normed: Tensor = rows if self.norm is None else tower.get_submodule(self.norm)(rows)
        return normed


def _one(config: PreTrainedConfig) -> int:
    return 1


def _class_and_distillation(config: PreTrainedConfig) -> int:
    return 2


def _class_and_registers(config: PreTrainedConfig) -> int:
    return 1 + int(config.num_register_tokens)


_CONVNEXT = ImageKind(
    "embeddings.layernorm",
    ("encoder.stages", "layers"),
    merging=_of_stages,
    width=lambda config: int(config.hidden_sizes[-1]),
    norm="layernorm",
    any_size=True,
    recomputes=False,
)
_SWIN = ImageKind("embeddings.norm", ("encoder.layers", "blocks"), merging=_of_stages)

IMAGE_KINDS: dict[str, ImageKind] = {
    "swin": _SWIN,
    "vit": ImageKind("embeddings.patch_embeddings", ("layers",), first_tokens=_one),
    "focalnet": ImageKind(
        "embeddings.norm",
        ("encoder.stages", "layers"),
        merging=_of_stages,
        width=lambda config: int(config.embed_dim * 2 ** (len(config.depths) - 1)),
    ),
    "dinov2": ImageKind("embeddings.patch_embeddings", ("encoder.layer",), first_tokens=_one, any_size=True),
    "dinov2_with_registers": ImageKind(
        "embeddings.patch_embeddings",
        ("encoder.layer",),
        first_tokens=_class_and_registers,
        any_size=True,
    ),
    "clip_vision_model": ImageKind(
        "embeddings.patch_embedding", ("encoder.layers",), first_tokens=_one, norm="post_layernorm"
    ),
    "siglip_vision_model": ImageKind("embeddings.patch_embedding", ("encoder.layers",)),
    "dinov3_vit": ImageKind(
        "embeddings.patch_embeddings", ("model.layer",), first_tokens=_class_and_registers, any_size=True
    ),
    "deit": ImageKind("embeddings.patch_embeddings", ("layers",), first_tokens=_class_and_distillation),
    "swinv2": _SWIN,
    "convnext": _CONVNEXT,
    "convnextv2": _CONVNEXT,
}
"""Model type of transformers → how its image towers are read."""


def image_kind(config: PreTrainedConfig, field: str = "the image tower") -> ImageKind:
    """The kind of an image tower's config. Raises InputError, which calls it `field`, for one that is not known."""
    kind = IMAGE_KINDS.get(config.model_type)
    if kind is None:
        raise InputError(
            f"{field} is a {config.model_type}, whose patch tokens and pooled embedding are not known; allowed are "
            f"{', '.join(IMAGE_KINDS)}; give the folder of such a tower"
        )
    if getattr(config, "vision_use_head", True) is False:
        raise InputError(
            f"{field} is a {config.model_type} without its pooling head (vision_use_head is false), so it has no "
            "embedding of the whole image; give a checkpoint with the head"
        )
    return kind


def map_shape(config: PreTrainedConfig, image_size: int | None = None) -> tuple[tuple[int, int], int]:
    """(rows, columns) of the last image map and the patches along a cell's side, from the config of an image tower.

    `image_size` is the side of the images in px; None: that of the config. Raises InputError when the kind is unknown,
    sizes are oblong, or cells do not fill the image.
    """
    kind = image_kind(config)
    merging = kind.merging(config)
    cell = square_side("patch_size", config.patch_size) * merging
    size = square_side("image_size", config.image_size) if image_size is None else image_size
    if kind.any_size and size % cell:
        raise InputError(
            f"model.image.image_size is {size}; a {config.model_type} with cells of {cell} px takes multiples "
            f"of {cell}; set model.image.image_size={max(1, round(size / cell)) * cell}"
        )
    return (size // cell, size // cell), merging


def square_side(field: str, size: int | list[int] | tuple[int, int]) -> int:
    """The side of a square; transformers also writes it as [side, side]. Raises InputError for other sizes."""
    if isinstance(size, int):
        return size
    height, width = size
    if height != width:
        raise InputError(f"{field} of the image tower is {height} × {width}; allowed are squares")
    return height
