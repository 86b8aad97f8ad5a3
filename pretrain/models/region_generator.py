"""The region generator: a box and a confidence from each patch token; the most confident boxes are the regions.

LOUPE section 3.2 (after YOLOv3). Shapes: B batch, C cells of the last map, D width, M regions.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.regions.boxes import most_confident
from pretrain.regions.soft_mask import hard_mask, pool, soft_mask


class Regions(NamedTuple):
    """M regions of each image, most confident first."""

    boxes: Float[Tensor, "B M 4"]
    """(centre x, centre y, width, height), fractions of the image; may reach over its edge."""
    confidence_logits: Float[Tensor, "B M"]
    """Before the sigmoid."""
    cells: Int[Tensor, "B M"]
    """The cell whose patch token gave the box; the box's centre lies in it."""
    soft_masks: Float[Tensor, "B M C"]
    """How far the box covers each cell, 0..1, differentiable in the box."""
    hard_masks: Bool[Tensor, "B M C"]
    """The region's players; at least one cell each."""
    embeddings: Float[Tensor, "B M D"]
    """Unit-length mean of the patch tokens under the soft mask."""


class RegionGenerator(nn.Module):
    """Predicts M regions from patch tokens [B, C, D].

    The box's centre is its cell's corner plus a sigmoid offset of at most one cell; width and height are a
    sigmoid between `smallest` cells and the whole image, initially `initial` cells. `suppress_above` turns
    on non-maximum suppression at that IoU. With `alone` no gradient of boxes and confidences reaches the patch tokens;
    the regions' embeddings keep theirs. Raises InputError for more regions than cells.
    """

    def __init__(
        self,
        dim: int,
        grid: tuple[int, int],
        regions: int,
        *,
        width: int = 256,
        suppress_above: float | None = None,
        smallest: float = 0.5,
        initial: float = 2.0,
        softness: float = 0.2,
        alone: bool = False,
    ) -> None:
        super().__init__()
        rows, columns = grid
        if not 1 <= regions <= rows * columns:
            raise InputError(
                f"regions is {regions}; allowed are 1 to {rows * columns}, the cells of the {rows}×{columns} "
                "map; set supervision.regions lower or use a larger image"
            )
        self.grid, self.regions, self.suppress_above = grid, regions, suppress_above
        self.smallest, self.softness, self.alone = smallest, softness, alone
        self.neck = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width), nn.GELU())
        # YOLO's 3×3 neighbourhood: the extent of an object is visible at its borders, not at its middle.
        self.around = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), nn.GELU())
        self.out = nn.Linear(width, 5)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            for axis, cells in ((2, columns), (3, rows)):
                share = (min(initial, 0.9 * cells) - smallest) / max(cells - smallest, 1e-6)
                share = min(max(share, 0.01), 0.99)
                self.out.bias[axis] = math.log(share / (1 - share))

    def every_cell(
        self, patches: Float[Tensor, "B C D"]
    ) -> tuple[Float[Tensor, "B C 4"], Float[Tensor, "B C"]]:
        """(boxes, confidence logits) of all cells, before any selection, in fp32."""
        rows, columns = self.grid
        hidden = self.neck((patches.detach() if self.alone else patches).to(self.out.weight.dtype))
        plane = hidden.transpose(1, 2).unflatten(2, (rows, columns))
        hidden = hidden + self.around(plane).flatten(2).transpose(1, 2)
        raw = self.out(hidden).float()
        index = torch.arange(rows * columns, device=patches.device)
        corner = torch.stack([index % columns, index // columns], -1).to(raw.dtype)
        extent = corner.new_tensor([columns, rows])
        centre = (corner + raw[..., :2].sigmoid()) / extent
        smallest = (self.smallest / extent).clamp(max=1)
        size = smallest + (1 - smallest) * raw[..., 2:4].sigmoid()
        return torch.cat([centre, size], -1), raw[..., 4]

    def forward(self, patches: Float[Tensor, "B C D"]) -> Regions:
        """The M most confident boxes of each image. The selection is not differentiable, the regions are."""
        boxes, logits = self.every_cell(patches)
        cells = most_confident(logits, boxes, self.regions, self.suppress_above)
        boxes = boxes.gather(1, cells.unsqueeze(-1).expand(-1, -1, 4))
        soft = soft_mask(boxes, self.grid, self.softness)
        return Regions(
            boxes=boxes,
            confidence_logits=logits.gather(1, cells),
            cells=cells,
            soft_masks=soft,
            hard_masks=hard_mask(boxes, self.grid),
            embeddings=pool(patches, soft),
        )
