"""The image's side of the token game in pixels: what a coalition lacks is filled in, at the resolution of the image.

A tower has never seen an image whose patch embeddings are zero; one with a plain patch it has. Masks of pixels do not
tie a region to the grid of cells, and values between 0 and 1 have a slope in the region's edges.

Shapes: B images, K masks of each, H × W pixels, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pretrain.shapley.games import DualEncoderLike
from pretrain.shapley.undisturbed import undisturbed


class PixelGame:
    """Embeddings of images of which parts are filled in. No gradient is recorded, and the model's state stays.

    `filling` is what stands in the place of missing pixels, of the images' shape or [B, 3, 1, 1]. `chunk` is the number
    of copies in one forward, which limits memory. `forwards` counts copies that were encoded.
    """

    def __init__(
        self,
        encoder: DualEncoderLike,
        pixel_values: Float[Tensor, "B 3 H W"],
        filling: Float[Tensor, "B 3 #H #W"],
        *,
        chunk: int = 256,
    ) -> None:
        self.encoder, self.pixel_values, self.filling, self.chunk = encoder, pixel_values, filling, chunk
        self.forwards = 0

    def embeddings(self, masks: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K D"]:
        """Unit-length float32 embeddings of the images with what each mask has, and the filling elsewhere."""
        images, count = masks.shape[:2]
        self.forwards += images * count
        rows = torch.arange(images, device=masks.device).repeat_interleave(count)
        flat = masks.flatten(0, 1).to(self.pixel_values.dtype)
        modules = [self.encoder] if isinstance(self.encoder, nn.Module) else []
        with undisturbed(*modules):
            parts = [
                self.encoder.encode_image(self._mixed(some, part))[0].float()
                for some, part in zip(rows.split(self.chunk), flat.split(self.chunk), strict=True)
            ]
        return torch.cat(parts).unflatten(0, (images, count))

    def _mixed(self, rows: Tensor, masks: Float[Tensor, "n H W"]) -> Float[Tensor, "n 3 H W"]:
        filling = self.filling[rows]
        return filling + masks[:, None] * (self.pixel_values[rows] - filling)
