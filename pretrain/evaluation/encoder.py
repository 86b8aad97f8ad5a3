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
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, BatchEncoding, BatchFeature
from transformers.modeling_outputs import BaseModelOutputWithPooling

from data_filters.errors import InputError
from pretrain.export.progress_bars import quiet_loading
from pretrain.models.text_kinds import TEXT_KINDS

EMBEDDING = "embedding"
"""The pooling that every export has: its own."""


class ExportedEncoder:
    """A dual encoder in a Hugging Face folder: ours, or any with `get_image_features` and `get_text_features`.

    Images go through the folder's own image processor, texts through its own tokenizer, cut at its length limit.
    """

    # Any: transformers has no type for what all its dual encoders, tokenizers and processors share.
    model: Any
    tokenizer: Any
    processor: Any

    def __init__(self, export: str, device: str | None = None) -> None:
        """`device` None: `default_device`. Raises InputError when the folder or the device cannot be opened."""
        _check_folder(export)
        self.device = open_device(default_device() if device is None else device)
        try:
            with quiet_loading():
                model = AutoModel.from_pretrained(export)
            self.tokenizer = AutoTokenizer.from_pretrained(export)
            self.processor = AutoImageProcessor.from_pretrained(export)
        except Exception as error:
            # transformers, safetensors and torch raise many types on files that are cut or of another model.
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"export {export!r} cannot be opened ({reason}); export the run again"
            ) from error
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise InputError(
                f"export {export!r} is a {type(model).__name__}, which has not two towers; "
                "give the folder of `loupe export` or another dual encoder"
            )
        self.model = model.to(self.device).eval()
        shape = getattr(model.config, "text_config", model.config)
        # None: a text tower of a kind that the token encoder does not know, read as BERT is.
        self.text_kind = TEXT_KINDS.get(getattr(shape, "model_type", ""))
        longest = (
            shape.max_position_embeddings if self.text_kind is None else self.text_kind.most_tokens(shape)
        )
        self.max_tokens = min(self.tokenizer.model_max_length, longest)
        self._padded_length = longest

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image], pooling: str = EMBEDDING) -> Float[Tensor, "B D"]:
        """Unit-length embeddings, fp32 on the CPU. Poolings beside the export's own take a `TokenEncoder`."""
        assert pooling == EMBEDDING
        return _unit(self.model.get_image_features(**self._processed(images)))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], pooling: str = EMBEDDING) -> Float[Tensor, "B D"]:
        """Unit-length embeddings, fp32 on the CPU; of `pooling` as `embed_images`."""
        assert pooling == EMBEDDING
        read = self.tokenized(texts)
        if self._reads_padding:
            spare = self._padded_length - read["input_ids"].shape[1]
            padded = F.pad(read["input_ids"], (0, spare), value=self.tokenizer.pad_token_id)
            return _unit(self.model.get_text_features(input_ids=padded))
        return _unit(self.model.get_text_features(**read))

    def tokenized(self, texts: Sequence[str]) -> BatchEncoding:
        """Texts as tokens with a mask, cut at the text tower's limit, on its device."""
        return self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.device)

    @property
    def _reads_padding(self) -> bool:
        """Whether texts are read with their padding, without a mask (SigLIP)."""
        return self.text_kind is not None and self.text_kind.reads_padding

    @torch.inference_mode()
    def pool_images(self, images: Sequence[Image.Image]) -> Float[Tensor, "B W"]:
        """The image tower's pooled output before the projection, fp32 on the CPU.

        Raises InputError for a model without an image tower by the name of `vision_model`.
        """
        tower = getattr(self.model, "vision_model", None)
        if tower is None:
            raise InputError(
                f"the export is a {type(self.model).__name__} without a vision_model; use features=embedding"
            )
        return tower(pixel_values=self.pixels(images)).pooler_output.float().cpu()

    def pixels(self, images: Sequence[Image.Image]) -> Float[Tensor, "B 3 H W"]:
        """Images as the image tower takes them, on its device."""
        return self._processed(images)["pixel_values"]

    def _processed(self, images: Sequence[Image.Image]) -> BatchFeature:
        return self.processor(images=list(images), return_tensors="pt").to(self.device)


def _check_folder(export: str) -> None:
    """Raise InputError, which says what the folder is instead, unless it looks like a model's folder."""
    folder = Path(export)
    if (folder / "checkpoints").is_dir() and not (folder / "preprocessor_config.json").is_file():
        raise InputError(
            f"export is {export!r}, which is a run; export it first: loupe export {export} --output DIR"
        )
    if (folder / "config.json").is_file() and not (folder / "open_clip_config.json").is_file():
        return
    for file, format in {"onnx.json": "an ONNX", "open_clip_config.json": "an open_clip"}.items():
        if (folder / file).is_file():
            raise InputError(
                f"export is {export!r}, which is {format} export; only exports in the format of Hugging Face can be "
                "evaluated: give one (`loupe export --format huggingface`)"
            )
    what = "has no config.json" if folder.is_dir() else "is a file" if folder.exists() else "is not there"
    raise InputError(f"export is {export!r}, which {what}; give the folder of `loupe export`")


def default_device() -> str:
    """`cuda` where the machine has a GPU that torch can use, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def open_device(name: str) -> torch.device:
    """The device of that name. Raises InputError when torch cannot use it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device is {name!r}: {reason}; use cpu, or cuda where there is a GPU") from error
    return device


def _unit(features: Tensor | BaseModelOutputWithPooling) -> Float[Tensor, "B D"]:
    """Unit-length rows of a tensor, or of a model's pooled output, fp32 on the CPU."""
    values = features if isinstance(features, Tensor) else features.pooler_output
    assert values is not None
    return F.normalize(values.float(), dim=-1).cpu()
