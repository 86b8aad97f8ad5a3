"""A matcher as evaluation uses it: images and captions in, both scores of each pair out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

from data_filters.errors import InputError
from data_filters.matching import (
    MATCH,
    SETTINGS,
    first_token_id,
    image_embeddings,
    image_tokens,
    matching_logits,
    read_settings,
    text_embeddings,
)
from pretrain.evaluation.encoder import ExportedEncoder, default_device, open_device
from pretrain.export.progress_bars import quiet_loading

Scores = Mapping[str, npt.NDArray[np.float64]]


class ExportedMatcher:
    """A `BlipForImageTextRetrieval` in a Hugging Face folder: ours, or any that is stock."""

    # Any: transformers has no type for what all its tokenizers and processors share.
    tokenizer: Any
    processor: Any

    def __init__(self, export: str, device: str | None = None) -> None:
        """`device` None: `default_device`. Raises InputError when the folder or the device cannot be opened."""
        self.device = open_device(default_device() if device is None else device)
        settings = read_settings(export)
        try:
            with quiet_loading():
                loaded: Any = BlipForImageTextRetrieval.from_pretrained(export, output_loading_info=True)
            self.tokenizer = AutoTokenizer.from_pretrained(export)
            self.processor = AutoImageProcessor.from_pretrained(export)
        except Exception as error:
            # transformers, safetensors and torch raise many types on files that are cut or of another model.
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"export {export!r} cannot be opened ({reason}); export the run again"
            ) from error
        model, about = loaded
        if missing := sorted(about["missing_keys"]):
            raise InputError(
                f"export {export!r} lacks {missing[0]}; a matcher is needed: a BlipForImageTextRetrieval with its "
                "itm_head"
            )
        self.model = model.to(self.device).eval()
        self.max_tokens = min(
            self.tokenizer.model_max_length, model.config.text_config.max_position_embeddings
        )
        first = settings.first_token
        self.first_token_id = first_token_id(
            first,
            self.tokenizer.get_vocab(),
            f"{SETTINGS} of {export!r} has first_token {first!r}, which its tokenizer does not know; export again",
        )

    @torch.inference_mode()
    def scores(
        self, images: Sequence[Image.Image], captions: Mapping[str, Sequence[str]]
    ) -> dict[str, Scores]:
        """For each kind of captions, one for each image, the scores `itm` (0 to 1) and `itc` (-1 to 1) of the pairs."""
        pixels = self.processor(images=list(images), return_tensors="pt").to(self.device)["pixel_values"]
        tokens = image_tokens(self.model, pixels)
        embedded = image_embeddings(self.model, tokens)
        found: dict[str, Scores] = {}
        for kind, texts in captions.items():
            inputs = self.tokenizer(
                list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
            ).to(self.device)
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            logits = matching_logits(self.model, tokens, ids, mask, self.first_token_id)
            cosines = (embedded * text_embeddings(self.model, ids, mask)).sum(-1)
            found[kind] = {
                "itm": logits.double().softmax(-1)[:, MATCH].cpu().numpy(),
                "itc": cosines.double().cpu().numpy(),
            }
        return found


def cosines(
    encoder: ExportedEncoder,
    images: Sequence[Image.Image],
    captions: Mapping[str, Sequence[str]],
    pooling: str = "embedding",
) -> dict[str, Scores]:
    """What `ExportedMatcher.scores` gives, of a dual encoder: one score, `cosine`, of embeddings by a pooling."""
    embedded = encoder.embed_images(images, pooling)
    return {
        kind: {"cosine": (embedded * encoder.embed_texts(texts, pooling)).sum(-1).double().numpy()}
        for kind, texts in captions.items()
    }
