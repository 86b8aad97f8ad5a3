"""An export as detection and grounding use it: patch tokens, masked images, the region head where there is one.

Shapes: B images, C cells of the last map, K masked copies, N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPModel, SiglipModel, VisionTextDualEncoderModel

from data_filters.errors import InputError
from pretrain.evaluation.encoder import EMBEDDING, ExportedEncoder
from pretrain.export.region_head import WEIGHTS, build_region_head
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.image_kinds import IMAGE_KINDS, image_kind
from pretrain.models.max_pooling import max_pooled
from pretrain.models.published_pixels import processor_side
from pretrain.models.region_generator import RegionGenerator
from pretrain.models.text_kinds import TEXT_KINDS
from pretrain.shapley.games import between_specials

STOCK = (VisionTextDualEncoderModel, SiglipModel, CLIPModel)
"""Stock classes whose towers can be masked: those of exports, and published CLIP and SigLIP as they are."""

MAX_POOLED = "max_pooled"
POOLINGS = (EMBEDDING, MAX_POOLED)
POOLING_HELP = (
    "what images and texts are embedded by: embedding (that of the export), max_pooled (the channel-wise "
    "maximum of their tokens, which the objective max_pooled trains)"
)


class StockDualEncoder(DualEncoder):
    """Our forward pass, which takes masks, on the shared modules of a stock dual encoder of `STOCK`."""

    def __init__(self, stock: nn.Module, image_size: int | None = None) -> None:
        """`image_size` is the side of the images in px; None: that of the image tower's config."""
        nn.Module.__init__(self)
        for name in ("vision_model", "text_model"):
            setattr(self, name, stock.get_submodule(name))
        for name in ("visual_projection", "text_projection"):  # a SigLIP has none
            setattr(self, name, getattr(stock, name, nn.Identity()))
        self.logit_scale = nn.Parameter(stock.get_parameter("logit_scale").detach().reshape(1))
        self._measure(image_size)


class TokenEncoder(ExportedEncoder):
    """An `ExportedEncoder` that also gives patch tokens, embeddings of masked images, and regions."""

    def __init__(self, export: str, device: str | None = None) -> None:
        """Raises InputError where the export has no map of patches that we know how to mask."""
        super().__init__(export, device)
        stock = self.model
        known = isinstance(stock, STOCK) and stock.vision_model.config.model_type in IMAGE_KINDS
        if not known or self.text_kind is None:
            kind = getattr(stock.config, "model_type", "") or type(stock).__name__
            raise InputError(
                f"export {export!r} is a {kind}; regions and patches are known for "
                f"{', '.join(kind.__name__ for kind in STOCK)} with one of {', '.join(IMAGE_KINDS)} and one of "
                f"{', '.join(TEXT_KINDS)}; give the folder of `loupe export`"
            )
        if getattr(self.processor, "do_center_crop", False):
            raise InputError(
                f"export {export!r} crops its images: boxes would not fit them; set do_center_crop to false"
            )
        kind = image_kind(stock.vision_model.config)
        side = processor_side(self.processor) if kind.any_size else None
        self.dual = StockDualEncoder(stock, side).to(self.device).eval()
        for parameter in self.dual.parameters():
            parameter.requires_grad_(False)
        self.grid = self.dual.grid
        self.region_generator = _region_generator(export, self.grid, _width(self.dual))
        if self.region_generator is not None:
            self.region_generator.to(self.device).eval()

    def embed_images(self, images: Sequence[Image.Image], pooling: str = EMBEDDING) -> Float[Tensor, "B D"]:
        """Unit-length embeddings by a pooling (`POOLINGS`), fp32 on the CPU."""
        if pooling == EMBEDDING:
            return super().embed_images(images)
        return self.embed_pixels(self.pixels(images), pooling).cpu()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str], pooling: str = EMBEDDING) -> Float[Tensor, "N D"]:
        """Unit-length embeddings by a pooling (`POOLINGS`), fp32 on the CPU."""
        if pooling == EMBEDDING:
            return super().embed_texts(texts)
        inputs = self.tokenized(texts)
        words = self.dual.encode_text(inputs["input_ids"], inputs["attention_mask"])[1]
        return max_pooled(words, between_specials(inputs["attention_mask"])).cpu()

    @property
    def temperature(self) -> float:
        """The temperature that cosines are divided by before a softmax."""
        return float(torch.exp(-self.dual.logit_scale.float()))

    def rgb(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """RGB from 0 to 1 of images as the tower takes them (`pixels`): the processor's normalisation undone."""
        if getattr(self.processor, "do_normalize", False):
            spread, mean = (
                torch.tensor(values).to(pixels)[:, None, None]
                for values in (self.processor.image_std, self.processor.image_mean)
            )
            pixels = pixels * spread + mean
        if getattr(self.processor, "do_rescale", True):
            factor = float(getattr(self.processor, "rescale_factor", 1 / 255))
        else:
            factor = 1.0
        return (pixels / (255 * factor)).clamp(0, 1)

    @torch.no_grad()
    def patches(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C D"]:
        """Unit-length patch tokens, fp32."""
        return self.dual.encode_image(pixels)[1].float()

    @torch.no_grad()
    def embed_pixels(
        self,
        pixels: Float[Tensor, "B 3 H W"],
        pooling: str = EMBEDDING,
        keep: Float[Tensor, "B C"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """Unit-length embeddings by a pooling (`POOLINGS`), with only the cells of `keep` present; fp32."""
        embeddings, patches = self.dual.encode_image(pixels, keep)
        return embeddings.float() if pooling == EMBEDDING else max_pooled(patches)

    def masked(
        self,
        pixels: Float[Tensor, "1 3 H W"],
        keep: Float[Tensor, "K C"],
        chunk: int = 256,
        pooling: str = EMBEDDING,
    ) -> Float[Tensor, "K D"]:
        """Unit-length embeddings of copies of one image, each with only the cells of a row of `keep` present; fp32."""
        parts = [
            self.embed_pixels(pixels.expand(len(part), -1, -1, -1), pooling, part)
            for part in keep.to(pixels).split(chunk)
        ]
        return torch.cat(parts)

    def texts(self, texts: Sequence[str], chunk: int = 256, pooling: str = EMBEDDING) -> Float[Tensor, "N D"]:
        """Unit-length text embeddings by a pooling (`POOLINGS`) on the device; at most `chunk` per forward pass."""
        parts = [
            self.embed_texts(texts[start : start + chunk], pooling) for start in range(0, len(texts), chunk)
        ]
        return torch.cat(parts).to(self.device)


def _width(dual: DualEncoder) -> int:
    """Dimensions of the embedding space."""
    projection = dual.visual_projection
    return int(getattr(projection, "out_features", dual.vision_model.config.hidden_size))


def _region_generator(export: str, grid: tuple[int, int], dim: int) -> RegionGenerator | None:
    """The export's region head, or None where it has none."""
    file = Path(export) / WEIGHTS
    if not file.is_file():
        return None
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file} cannot be read ({reason}); export the run again") from error
    return build_region_head(weights, dim, grid, str(file))
