"""An export as evaluation uses it: images in, texts in, unit-length embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pretrain.export.progress_bars import quiet_loading


class ExportedEncoder:
    """A dual encoder in a Hugging Face folder: ours, or any with `get_image_features` and `get_text_features`.

    Images go through the folder's own image processor, texts through its own tokenizer, cut at its length limit.
    """

    def __init__(self, export: str, device: str = "cpu") -> None:
        """Raises InputError when the folder cannot be opened or the device is not there."""
        if not (Path(export) / "config.json").is_file():
            raise InputError(
                f"export is {export!r}, which has no config.json; give the folder of `loupe export`"
            )
        try:
            self.device = torch.device(device)
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"device is {device!r}: {reason}; use cpu, or cuda where there is a GPU"
            ) from error
        try:
            with quiet_loading():
                model = AutoModel.from_pretrained(export)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(export)
            self.processor: Any = AutoImageProcessor.from_pretrained(export)
        except (OSError, ValueError, KeyError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"export {export!r} cannot be opened ({reason}); export the run again"
            ) from error
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise InputError(
                f"export {export!r} is a {type(model).__name__}, which has not two towers; "
                "give the folder of `loupe export` or another dual encoder"
            )
        self.model: Any = model.to(self.device).eval()
        shape = getattr(model.config, "text_config", model.config)
        self.max_tokens = min(self.tokenizer.model_max_length, shape.max_position_embeddings)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Float[Tensor, "B D"]:
        """Unit-length embeddings, fp32 on the CPU."""
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.device)
        return _unit(self.model.get_image_features(**inputs))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "B D"]:
        """Unit-length embeddings, fp32 on the CPU."""
        inputs = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.device)
        return _unit(self.model.get_text_features(**inputs))


def _unit(features: Any) -> Tensor:
    values = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(values.float(), dim=-1).cpu()
