"""An export as detection and grounding use it: patch tokens, masked images, the region head where there is one.

Shapes: B images, C cells of the last map, K masked copies, N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.models.dual_encoder import DualEncoder, map_shape
from pretrain.models.region_generator import RegionGenerator

REGION_HEAD = "region_head.safetensors"


class StockDualEncoder(DualEncoder):
    """The dual encoder's own forward pass on the modules of a stock VisionTextDualEncoderModel: nothing is copied."""

    def __init__(self, stock: Any) -> None:
        nn.Module.__init__(self)
        self.vision_model, self.text_model = stock.vision_model, stock.text_model
        self.visual_projection, self.text_projection = stock.visual_projection, stock.text_projection
        self.logit_scale = nn.Parameter(stock.logit_scale.detach().reshape(1))
        self.grid, self.patches_per_cell = map_shape(stock.vision_model.config)


class TokenEncoder(ExportedEncoder):
    """What `ExportedEncoder` is, and patch tokens, masked images and regions besides."""

    def __init__(self, export: str, device: str = "cpu") -> None:
        """Raises InputError where the export has no map of patches that we know how to mask."""
        super().__init__(export, device)
        kind = getattr(self.model.config, "model_type", "")
        tower = getattr(getattr(self.model, "vision_model", None), "config", None)
        if kind != "vision-text-dual-encoder" or tower.model_type not in ("swin", "vit"):
            raise InputError(
                f"export {export!r} is a {kind or type(self.model).__name__}; regions and patches are known for "
                "VisionTextDualEncoderModel with a Swin or ViT; give the folder of `loupe export`"
            )
        if getattr(self.processor, "do_center_crop", False):
            raise InputError(
                f"export {export!r} crops its images: boxes would not fit them; set do_center_crop to false"
            )
        self.dual = StockDualEncoder(self.model).to(self.device).eval()
        for parameter in self.dual.parameters():
            parameter.requires_grad_(False)
        self.grid = self.dual.grid
        self.region_generator = _region_generator(export, self.grid, self.model.config.projection_dim)
        if self.region_generator is not None:
            self.region_generator.to(self.device).eval()

    @property
    def temperature(self) -> float:
        """What cosines are divided by before a softmax."""
        return float(torch.exp(-self.dual.logit_scale.float()))

    def pixels(self, images: Sequence[Image.Image]) -> Float[Tensor, "B 3 H W"]:
        """Images as the tower takes them, on its device."""
        return self.processor(images=list(images), return_tensors="pt")["pixel_values"].to(self.device)

    @torch.no_grad()
    def patches(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C D"]:
        """Unit-length patch tokens, fp32."""
        return self.dual.encode_image(pixels)[1].float()

    @torch.no_grad()
    def masked(
        self, pixels: Float[Tensor, "1 3 H W"], keep: Float[Tensor, "K C"], chunk: int = 256
    ) -> Float[Tensor, "K D"]:
        """Unit-length embeddings of copies of one image in which only the cells of `keep` are there, fp32."""
        parts = [
            self.dual.encode_image(pixels.expand(len(part), -1, -1, -1), part)[0].float()
            for part in keep.to(pixels).split(chunk)
        ]
        return torch.cat(parts)

    def texts(self, texts: Sequence[str], chunk: int = 256) -> Float[Tensor, "N D"]:
        """Unit-length text embeddings on the device; any number of texts."""
        parts = [self.embed_texts(texts[start : start + chunk]) for start in range(0, len(texts), chunk)]
        return torch.cat(parts).to(self.device)


def _region_generator(export: str, grid: tuple[int, int], dim: int) -> RegionGenerator | None:
    """The export's region head, or None. All cells are candidates: selection is the evaluation's."""
    file = Path(export) / REGION_HEAD
    if not file.is_file():
        return None
    try:
        weights = load_file(file)
        width = weights["out.weight"].shape[1]
        head = RegionGenerator(dim, grid, grid[0] * grid[1], width=width)
        head.load_state_dict(weights)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file} does not fit the export ({reason}); export the run again") from error
    return head
