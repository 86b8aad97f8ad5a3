"""What regions add to the embeddings of their images, for regions of several images at the fewest forward passes.

An image's own embedding and that of the image with nothing in it serve all regions of the image.

Shapes: B images, K regions of some of them, U images with a region, C cells, H × W pixels, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.max_pooling import max_pooled
from pretrain.objectives.inputs import Features
from pretrain.regions.pixel_masks import FILLINGS, with_parts
from pretrain.shapley.undisturbed import undisturbed
from pretrain.supervision.config import ABSENCE, MAX_POOLED, ZERO


@dataclass
class ImageParts:
    """Embeds parts of a batch's images by `pooling`. Called inside `undisturbed`, which many calls share.

    With `fill: zero` a part's mask is over cells, else over pixels, and what it lacks is filled in. `chunk` is the
    number of copies in one forward pass. `forwards` counts copies.
    """

    encoder: DualEncoder
    pixels: Float[Tensor, "B 3 H W"]
    fill: str
    pooling: str
    chunk: int
    forwards: int = field(default=0, init=False)

    def __call__(
        self, rows: Int[Tensor, " n"], masks: Float[Tensor, "n ..."], calls: int | None = None
    ) -> Float[Tensor, "n D"]:
        """Embed part number i of image `rows[i]`, in `calls` forward passes (None: as few as `chunk` allows)."""
        calls = calls or math.ceil(len(rows) / self.chunk)
        self.forwards += len(rows)
        places = torch.arange(max(len(rows), calls), device=rows.device) % len(rows)
        parts = [self._embed(rows[some], masks[some]) for some in places.tensor_split(calls)]
        return torch.cat(parts)[: len(rows)]

    def _embed(self, rows: Tensor, masks: Tensor) -> Tensor:
        pixels = self.pixels[rows]
        if self.fill == ZERO:
            embeddings, tokens = self.encoder.encode_image(pixels, masks)
        else:
            mixed = with_parts(pixels, masks, FILLINGS[self.fill](pixels))
            embeddings, tokens = self.encoder.encode_image(mixed)
        return max_pooled(tokens) if self.pooling == MAX_POOLED else embeddings.float()


def added_by_regions(
    parts: ImageParts,
    rows: Int[Tensor, " K"],
    masks: Float[Tensor, "K ..."],
    target: str,
    whole: Float[Tensor, "B D"] | None,
) -> Float[Tensor, "K D"]:
    """Return what each region adds to its image's embedding; not unit length. `rows` are the regions' images.

    Target "absence" is e(N) - e(N ∖ R), "ends" is 1/2 [e(R) - e(∅) + e(N) - e(N ∖ R)]; products with texts are the
    values of `pretrain.shapley.absence` and `pretrain.shapley.ends`. `whole` is e(N) of each image of the batch; None:
    it is computed. No gradient is recorded, and the encoder's state stays. Takes K or 2 K forwards for regions, and U
    for ∅ and for N each where they are needed; the number of calls of the tower depends on K and B alone, so that it is
    the same on every rank.
    """
    images, place = rows.unique(return_inverse=True)
    calls = math.ceil(min(len(rows), len(parts.pixels)) / parts.chunk)
    nothing = torch.zeros_like(masks[:1]).expand(len(images), *masks.shape[1:])
    with undisturbed(parts.encoder):
        of_image = parts(images, 1 - nothing, calls) if whole is None else whole[images]
        lost = of_image[place] - parts(rows, 1 - masks)
        if target == ABSENCE:
            return lost
        return (lost + parts(rows, masks) - parts(images, nothing, calls)[place]) / 2


def pooled_features(features: Features, pooling: str, text_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the batch's image and text embeddings by `pooling` ([B, D] each), fp32, without gradient."""
    if pooling == MAX_POOLED:
        return max_pooled(features.patches.detach()), max_pooled(features.words.detach(), text_mask)
    return features.images.detach().float(), features.texts.detach().float()


def encodes_alike(encoder: DualEncoder, features: Features) -> bool:
    """Whether the embeddings of the training step are those of the evaluation: nothing of them was left out at random.

    True where no cell of an image is dropped and neither tower has dropout or stochastic depth, or where the encoder
    is in evaluation mode.
    """
    if not encoder.training:
        return True
    towers = (encoder.vision_model, encoder.text_model)  # a locked one is in evaluation mode
    return features.whole and not any(tower.training and _drops(tower.config.to_dict()) for tower in towers)


def _drops(settings: Mapping[str, object]) -> bool:
    """Whether a tower's config has dropout, stochastic depth, or positions that training disturbs (DINOv3)."""
    return any(
        ("drop" in name or name.startswith("pos_embed_")) and isinstance(value, int | float) and value > 0
        for name, value in settings.items()
    )
