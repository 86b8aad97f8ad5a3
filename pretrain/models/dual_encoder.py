"""The dual encoder: an image tower and a text tower with one embedding space.

Shapes: B batch, H W pixels, C cells of the last image map, L word tokens, D projection_dim.
Module names are those of transformers' VisionTextDualEncoderModel, so that an export renames nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.model_config import ModelConfig
from pretrain.models.image_kinds import image_kind, map_shape, square_side
from pretrain.models.published_towers import PublishedSpace, published_space
from pretrain.models.text_kinds import text_kind
from pretrain.models.towers import build_image_tower, build_text_tower

logger = logging.getLogger(__name__)


class TowerOutput(Protocol):
    """What the dual encoder reads of a tower's output; transformers' output classes have no common type with both."""

    last_hidden_state: Tensor
    pooler_output: Tensor


class DualEncoder(nn.Module):
    """Two towers with a linear projection each and a learned temperature (LOUPE section 3.1).

    The global image embedding is the projection of the tower's own pooled output (Swin and FocalNet: the mean of the
    last map; ViT: the pooled class token), the global text embedding that of the text tower's (BERT: the pooled [CLS]):
    exactly what a stock VisionTextDualEncoderModel computes. Patch and word tokens go through the same two projections.
    `IMAGE_KINDS` and `TEXT_KINDS` say how each kind of tower is read. A whole SigLIP has no projections.
    """

    image_locked = False
    text_locked = False
    first_logit_bias: float | None = None
    """The logit bias of the published model that the weights come from; None where it has none."""

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.vision_model = build_image_tower(config.image)
        self.text_model = build_text_tower(config.text, vocabulary_size)
        if text_kind(self.text_model.config).projected:
            widths = self.vision_model.config.hidden_size, self.text_model.config.hidden_size
            self.visual_projection: nn.Module = nn.Linear(widths[0], config.projection_dim, bias=False)
            self.text_projection: nn.Module = nn.Linear(widths[1], config.projection_dim, bias=False)
            for projection, width in zip((self.visual_projection, self.text_projection), widths, strict=True):
                nn.init.normal_(projection.get_parameter("weight"), std=width**-0.5)
        else:
            self.visual_projection, self.text_projection = nn.Identity(), nn.Identity()
        # Shape [1], not []: DeepSpeed's partitioning has no case for a parameter without dimensions.
        self.logit_scale = nn.Parameter(torch.tensor([math.log(1 / config.temperature)]))
        takes_any = config.image.pretrained is None or image_kind(self.vision_model.config).any_size
        self._measure(config.image.image_size if takes_any else None)
        if config.pretrained is not None:
            self._start_from(published_space(config.pretrained), config)

    @property
    def cells(self) -> int:
        """Number of cells C of the last image map: the image players of the token game."""
        return self.grid[0] * self.grid[1]

    @property
    def projects(self) -> bool:
        """Whether linear projections lead from the towers to the shared space."""
        return not isinstance(self.text_projection, nn.Identity)

    def encode_image(
        self, pixel_values: Float[Tensor, "B 3 H W"], keep: Float[Tensor, "B C"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B C D"]]:
        """Unit-length global embeddings and unit-length patch tokens.

        `keep` multiplies the input patch embeddings that each cell covers: 1 present, 0 dropped, a value between them
        partly present. The convolutions of a FocalNet still see some pixels of a dropped cell from beside it.
        """
        tower = self.vision_model
        kind = image_kind(tower.config)
        patches = tower.get_submodule(kind.patches)
        with _scaled(patches, self._per_patch(keep)), self._recording(self.image_locked):
            output = _callable(tower, keep)(pixel_values=pixel_values)
            tokens = kind.tokens(tower, output.last_hidden_state)
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
        tower = self.text_model
        kind = text_kind(tower.config)
        length, read = input_ids.shape[1], {"input_ids": input_ids, "attention_mask": attention_mask}
        if kind.reads_padding:
            spare = kind.most_tokens(tower.config) - length
            read = {"input_ids": F.pad(input_ids, (0, spare), value=tower.config.pad_token_id)}
            keep = None if keep is None else F.pad(keep, (0, spare), value=1.0)
        with _scaled(tower.get_submodule(kind.words), keep), self._recording(self.text_locked):
            output = _callable(tower, keep)(**read)
        words = output.last_hidden_state[:, :length]
        embedding = F.normalize(self.text_projection(output.pooler_output), dim=-1)
        return embedding, F.normalize(self.text_projection(words), dim=-1)

    def lock(self, image: bool, text: bool) -> None:
        """Lock towers, or let them learn again, until the next call.

        In training a locked tower is in evaluation mode and records no graph, so that its parameters get no gradient.
        In evaluation mode locks have no effect: gradients by pixels and by `keep` can be taken.
        """
        if (image, text) != (self.image_locked, self.text_locked):
            self.image_locked, self.text_locked = image, text
            self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; locked towers stay in evaluation mode."""
        super().train(mode)
        for tower, locked in ((self.vision_model, self.image_locked), (self.text_model, self.text_locked)):
            if locked:
                tower.eval()
        return self

    def _measure(self, image_size: int | None) -> None:
        """Note the side of images (None: that of the tower's config), the map's grid and the patches in a cell."""
        shape = self.vision_model.config
        self.image_size = square_side("image_size", shape.image_size) if image_size is None else image_size
        self.grid, self.patches_per_cell = map_shape(shape, self.image_size)

    @torch.no_grad()
    def _start_from(self, space: PublishedSpace, config: ModelConfig) -> None:
        """Copy the projections and the temperature of a whole published model."""
        if self.projects:
            self.visual_projection.load_state_dict({"weight": space.visual_projection})
            self.text_projection.load_state_dict({"weight": space.text_projection})
        self.logit_scale.fill_(space.logit_scale)
        self.first_logit_bias = space.logit_bias
        if space.logit_scale > config.log_max_logit_scale:
            logger.warning(
                "model.pretrained %s has an inverse temperature of %.1f, which the first step lowers to "
                "model.max_logit_scale %.1f; raise that to keep it",
                config.pretrained,
                math.exp(space.logit_scale),
                config.max_logit_scale,
            )

    def _recording(self, locked: bool) -> AbstractContextManager[None]:
        """Gradients as they are outside, but none in training for a locked tower."""
        # A graph for inputs is wanted in evaluation mode only.
        return torch.no_grad() if locked and self.training else nullcontext()

    def _per_patch(self, keep: Float[Tensor, "B C"] | None) -> Float[Tensor, "B patches"] | None:
        """Repeat the factor of each cell for its input patches."""
        if keep is None:
            return None
        rows, columns = self.grid
        cells = keep.view(-1, rows, columns)
        per_row = cells.repeat_interleave(self.patches_per_cell, 1)
        return per_row.repeat_interleave(self.patches_per_cell, 2).flatten(1)


def _callable(tower: nn.Module, keep: Tensor | None) -> Callable[..., TowerOutput]:
    """The tower, or its plain forward where a compiled one would ignore the hook that drops players."""
    return tower if keep is None or tower._compiled_call_impl is None else tower.forward


@contextmanager
def _scaled(module: nn.Module, factors: Float[Tensor, "B N"] | None) -> Iterator[None]:
    """Multiply the output of `module`, [B, N, width] or [B, width, h, w], by `factors` while the context is open."""
    if factors is None:
        yield
        return

    def scale(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        shaped = (
            factors.unsqueeze(-1) if output.ndim == 3 else factors.view(len(factors), 1, *output.shape[2:])
        )
        return output * shaped.to(output.dtype)

    handle = module.register_forward_hook(scale)
    try:
        yield
    finally:
        handle.remove()
