"""How a box of an image is compared with a text: what of the image it has, what stands for the rest, what is compared.

Shapes: R boxes, C cells of the last map, H × W pixels, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.token_encoder import POOLINGS, TokenEncoder
from pretrain.regions.pixel_masks import FILLINGS, box_pixels, cells_as_pixels, pixels_as_cells, with_parts
from pretrain.regions.soft_mask import hard_mask, touched_mask

COVERS = ("centre", "touched", "pixels")
ZERO = "zero"
FILLS = (ZERO, *FILLINGS)
CONTRIBUTIONS = ("dropped", "ends")
"""Embeddings that are what a box changes, 0 where it has nothing; the others are of unit length."""


@dataclass(frozen=True)
class Judge:
    """What of a box is compared with a text.

    `cover`: the cells whose centre lies in the box, all that it touches, or its very pixels. `fill`: "zero" takes the
    embeddings of the other patches away, as the token game does; the others put something in the place of their
    pixels, which a tower is more likely to know. `embedding`: a key of EMBEDDINGS. `pooling`: what an image and a text
    are embedded by. `size_exponent`: the power of a part's cells that the embedding "ends" is divided by. Patch tokens
    are of the whole image: `fill` has no effect on them. Raises InputError for pixels that are to be zeroed: a patch
    has one embedding.
    """

    embedding: str = "alone"
    cover: str = "centre"
    fill: str = ZERO
    pooling: str = "embedding"
    size_exponent: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in (("cover", COVERS), ("fill", FILLS), ("pooling", POOLINGS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed are {', '.join(allowed)}")
        if self.cover == "pixels" and self.fill == ZERO and self.embedding != "patches":
            raise InputError(
                f"fill is zero with cover: pixels, but a patch is zeroed whole; set fill to {' or '.join(FILLINGS)}, "
                "or cover to touched"
            )

    def masks(self, encoder: TokenEncoder, pixels: Tensor, boxes: Float[Tensor, "R 4"]) -> Tensor:
        """What of the image each box has: [R, C] over cells, or [R, H, W] where `cover` is pixels."""
        if self.cover == "pixels":
            return box_pixels(boxes, _size(pixels)).to(pixels.dtype)
        mask = hard_mask if self.cover == "centre" else touched_mask
        return mask(boxes, encoder.grid).to(pixels.dtype)

    def nothing(self, encoder: TokenEncoder, pixels: Tensor) -> Tensor:
        """The mask of a part that has nothing of the image: [1, C] or [1, H, W]."""
        shape = _size(pixels) if self.cover == "pixels" else (encoder.grid[0] * encoder.grid[1],)
        return pixels.new_zeros(1, *shape)

    def embed_parts(
        self, encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], masks: Tensor, chunk: int
    ) -> Float[Tensor, "R D"]:
        """Unit-length embeddings of copies of the image with what each mask has, and the filling elsewhere."""
        if self.fill == ZERO:
            return encoder.masked(pixels, masks, chunk, self.pooling)
        filling = FILLINGS[self.fill](pixels)
        if masks.ndim == 2:
            masks = cells_as_pixels(masks, encoder.grid, _size(pixels))
        parts = [
            encoder.embed_pixels(with_parts(pixels, part, filling), self.pooling)
            for part in masks.to(pixels).split(chunk)
        ]
        return torch.cat(parts)

    def cells(self, encoder: TokenEncoder, masks: Tensor) -> Float[Tensor, "R C"]:
        """The share of each cell that a mask has."""
        return masks if masks.ndim == 2 else pixels_as_cells(masks, encoder.grid)


PLAIN = Judge()
"""The token game's own: cells whose centre lies in the box, the other patches zeroed, the export's embeddings."""


def _size(pixels: Tensor) -> tuple[int, int]:
    height, width = pixels.shape[-2:]
    return height, width
