"""The dual encoder: an image tower and a text tower with one embedding space.

Shapes: B batch, H W pixels, C cells of the last image map, L word tokens, D projection_dim.
Module names are those of transformers' VisionTextDualEncoderModel, so that an export renames nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, ViTConfig

from data_filters.errors import InputError
from pretrain.model_config import ModelConfig
from pretrain.models.towers import build_image_tower, build_text_tower


class TowerOutput(Protocol):
    """What the dual encoder reads of a tower's output; transformers' output classes have no common type with both."""

    last_hidden_state: Tensor
    pooler_output: Tensor


class DualEncoder(nn.Module):
    """Two towers with a linear projection each and a learned temperature (LOUPE section 3.1).

    The global image embedding is the projection of the tower's own pooled output (Swin and FocalNet: the mean of the
    last map; ViT: the pooled class token), the global text embedding that of BERT's pooled [CLS]: exactly what a stock
    VisionTextDualEncoderModel computes. Patch and word tokens go through the same two projections.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.vision_model = build_image_tower(config.image)
        self.text_model = build_text_tower(config.text, vocabulary_size)
        self.visual_projection = nn.Linear(
            self.vision_model.config.hidden_size, config.projection_dim, bias=False
        )
        self.text_projection = nn.Linear(
            self.text_model.config.hidden_size, config.projection_dim, bias=False
        )
        nn.init.normal_(self.visual_projection.weight, std=self.vision_model.config.hidden_size**-0.5)
        nn.init.normal_(self.text_projection.weight, std=self.text_model.config.hidden_size**-0.5)
        # Shape [1], not []: DeepSpeed's partitioning has no case for a parameter without dimensions.
        self.logit_scale = nn.Parameter(torch.tensor([math.log(1 / config.temperature)]))
        self.grid, self.patches_per_cell = map_shape(self.vision_model.config)

    @property
    def cells(self) -> int:
        """Number of cells C of the last image map: the image players of the token game."""
        return self.grid[0] * self.grid[1]

    def encode_image(
        self, pixel_values: Float[Tensor, "B 3 H W"], keep: Float[Tensor, "B C"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B C D"]]:
        """Unit-length global embeddings and unit-length patch tokens.

        `keep` multiplies the input patch embeddings that each cell covers: 1 present, 0 dropped, a value between them
        partly present. The convolutions of a FocalNet still see some pixels of a dropped cell from beside it.
        """
        with _scaled(self._patch_module(), self._per_patch(keep)):
            output = _callable(self.vision_model, keep)(pixel_values=pixel_values)
        tokens = output.last_hidden_state
        if tokens.shape[1] == self.cells + 1:  # a ViT puts its class token first
            tokens = tokens[:, 1:]
        embedding = F.normalize(self.visual_projection(output.pooler_output), dim=-1)
        return embedding, F.normalize(self.visual_projection(tokens), dim=-1)

    def encode_text(
        self,
        input_ids: Int[Tensor, "B L"],
        attention_mask: Int[Tensor, "B L"],
        keep: Float[Tensor, "B L"] | None = None,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L D"]]:
        """Unit-length global embeddings and unit-length word tokens (those at padding are meaningless).

        `keep` multiplies the input word embeddings; the caller leaves [CLS] and [SEP] at 1.
        """
        with _scaled(self.text_model.get_submodule("embeddings.word_embeddings"), keep):
            output = _callable(self.text_model, keep)(input_ids=input_ids, attention_mask=attention_mask)
        embedding = F.normalize(self.text_projection(output.pooler_output), dim=-1)
        return embedding, F.normalize(self.text_projection(output.last_hidden_state), dim=-1)

    def _patch_module(self) -> nn.Module:
        """The module whose output is the input patch embeddings."""
        # The others normalise their patch embeddings; factors are applied after the norm, which would cancel them.
        is_vit = isinstance(self.vision_model.config, ViTConfig)
        return self.vision_model.get_submodule("embeddings.patch_embeddings" if is_vit else "embeddings.norm")

    def _per_patch(self, keep: Float[Tensor, "B C"] | None) -> Float[Tensor, "B patches"] | None:
        """Repeat the factor of each cell for its input patches."""
        if keep is None:
            return None
        rows, columns = self.grid
        cells = keep.view(-1, rows, columns)
        per_row = cells.repeat_interleave(self.patches_per_cell, 1)
        return per_row.repeat_interleave(self.patches_per_cell, 2).flatten(1)


def map_shape(config: PreTrainedConfig) -> tuple[tuple[int, int], int]:
    """(rows, columns) of the last image map and the patches along a cell's side, from the config of an image tower."""
    merging = 1 if isinstance(config, ViTConfig) else 2 ** (len(config.depths) - 1)
    side = _side("image_size", config.image_size) // (_side("patch_size", config.patch_size) * merging)
    return (side, side), merging


def _side(field: str, size: int | list[int] | tuple[int, int]) -> int:
    """The side of a square; transformers also writes it as [side, side]."""
    if isinstance(size, int):
        return size
    height, width = size
    if height != width:
        raise InputError(f"{field} of the image tower is {height} × {width}; allowed are squares")
    return height


def _callable(tower: nn.Module, keep: Tensor | None) -> Callable[..., TowerOutput]:
    """The tower, or its plain forward where a compiled one would ignore the hook that drops players."""
    return tower if keep is None or tower._compiled_call_impl is None else tower.forward


@contextmanager
def _scaled(module: nn.Module, factors: Float[Tensor, "B N"] | None) -> Iterator[None]:
    """Multiply the output [B, N, width] of `module` by `factors` while the context is open."""
    if factors is None:
        yield
        return

    def scale(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output * factors.unsqueeze(-1).to(output.dtype)

    handle = module.register_forward_hook(scale)
    try:
        yield
    finally:
        handle.remove()
