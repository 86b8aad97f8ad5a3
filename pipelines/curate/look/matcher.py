"""A BLIP with its image processor and tokenizer: the scores of pictures and captions, in calls of fixed sizes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_filters.errors import InputError
from pipelines.curate.look.dual_encoder import text_limit
from pipelines.curate.look.fixed_calls import FixedCalls, device_of_process
from pipelines.curate.look.matching_folder import first_token_id, load_parts
from pipelines.curate.look.model_files import load_model

if TYPE_CHECKING:
    from torch import Tensor

FIRST_SCORES = 1_000
"""Scores of a process that a model cannot give all the same value without being broken."""

STEP = 16  # tokens
TEXTS_ON_CPU = 4
TEXTS_ON_GPU = 16

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Captions:
    """Tokens of captions: the rows of each filled length, with `input_ids` and `attention_mask` [rows, length]."""

    by_length: Mapping[int, tuple[npt.NDArray[np.int64], Mapping[str, Tensor]]]
    is_cut: list[bool]


class Matcher:
    """The model with its image processor and tokenizer. Raises InputError when they cannot be loaded."""

    def __init__(self, folder: str, first_token: str, precision: str) -> None:
        from transformers import BlipForImageTextRetrieval

        self._folder, self._precision = folder, precision
        self._processor, self._tokenizer = load_parts(folder)
        self._first_token_id = first_token_id(folder, first_token, self._tokenizer)
        self._calls = FixedCalls(device_of_process())
        self._text_calls = FixedCalls(self._calls.device, rows_of_text(self._calls.device))
        self._model = load_model(BlipForImageTextRetrieval, folder).to(self._calls.device)
        self._limit = text_limit(self._model.config, self._tokenizer)
        self._pixels = PixelInput(self._processor)
        self._first = {"ITC": FirstScores(folder, "ITC"), "ITM": FirstScores(folder, "ITM")}

    # Any: pictures of Pillow.
    def image_tokens(self, images: Sequence[Any]) -> Tensor:
        """The image encoder's tokens [n, tokens, width] of RGB images, on the device."""
        from data_filters.matching import image_tokens

        def compute(chunk: Mapping[str, Tensor]) -> Tensor:
            with self._autocast():
                return image_tokens(self._model, self._pixels.normalised(chunk["pixels"]))

        return self._calls(compute, {"pixels": self._pixels(images)}, stays=True)

    def captions(self, texts: Sequence[str]) -> Captions:
        """Tokens of captions, cut at the model's limit, each filled up to a length that depends on itself alone."""
        whole = self._tokenizer(list(texts), truncation=True, max_length=self._limit + 1)
        is_cut = [len(ids) > self._limit for ids in whole["input_ids"]]
        tokens = (
            self._tokenizer(list(texts), truncation=True, max_length=self._limit) if any(is_cut) else whole
        )
        sizes = np.array([filled_length(len(ids), self._limit) for ids in tokens["input_ids"]])
        found = {}
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            chosen = {
                name: [tokens[name][row] for row in rows.tolist()] for name in ("input_ids", "attention_mask")
            }
            filled = self._tokenizer.pad(chosen, padding="max_length", max_length=size, return_tensors="pt")
            found[size] = (rows, dict(filled))
        return Captions(found, is_cut)

    def contrastive(self, tokens: Tensor, captions: Captions) -> Values:
        """The cosine of each image with its caption."""
        from data_filters.matching import image_embeddings, text_embeddings

        def of_images(chunk: Mapping[str, Tensor]) -> Tensor:
            with self._autocast():
                return image_embeddings(self._model, chunk["tokens"][:, None])

        def of_texts(chunk: Mapping[str, Tensor]) -> Tensor:
            with self._autocast():
                return text_embeddings(self._model, **chunk)

        images = self._calls(of_images, {"tokens": tokens[:, 0]}).numpy().astype(np.float64)
        found = np.zeros(len(images))
        for rows, inputs in captions.by_length.values():
            texts = self._text_calls(of_texts, inputs).numpy().astype(np.float64)
            found[rows] = np.einsum("ij,ij->i", images[rows], texts)
        self._first["ITC"].add(found)
        return found

    def matching(self, tokens: Tensor, captions: Captions, wanted: npt.NDArray[np.int64]) -> Values:
        """The probability that image and caption match, of the wanted rows."""
        from data_filters.matching import MATCH, matching_logits

        def compute(chunk: Mapping[str, Tensor]) -> Tensor:
            with self._autocast():
                logits = matching_logits(self._model, **chunk, first_token_id=self._first_token_id)
            return logits.float().softmax(-1)[:, MATCH]

        found = np.zeros(len(captions.is_cut))
        for rows, inputs in captions.by_length.values():
            chosen = np.isin(rows, wanted)
            if chosen.any():
                of_rows = {name: values[chosen] for name, values in inputs.items()}
                of_rows["tokens"] = tokens[rows[chosen]]
                found[rows[chosen]] = self._text_calls(compute, of_rows).numpy()
        self._first["ITM"].add(found[wanted])
        return found[wanted]

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        """Matrix products in bfloat16 where the group says so."""
        import torch

        if self._precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self._calls.device.type, torch.bfloat16)


def filled_length(tokens: int, limit: int) -> int:
    """The length that a caption is filled up to: at most a quarter longer, from STEP tokens on."""
    step = max(STEP, 1 << max(0, (tokens - 1).bit_length() - 3))
    return min(limit, -(-max(tokens, 1) // step) * step)


# Any: a device of torch.
def rows_of_text(device: Any) -> int:
    """Captions of a call: fewer than images, since a batch has a few of each length, and calls are filled up."""
    return TEXTS_ON_CPU if device.type == "cpu" else TEXTS_ON_GPU


class PixelInput:
    """Images as the image processor makes them: bytes to the device, normalised there, if it can be told how."""

    # Any: an image processor of transformers.
    def __init__(self, processor: Any) -> None:
        self._processor = processor
        names = ("do_rescale", "do_normalize", "rescale_factor", "image_mean", "image_std")
        self._is_raw = all(getattr(processor, name, None) for name in names)

    # Any: pictures of Pillow.
    def __call__(self, images: Sequence[Any]) -> Tensor:
        """[n, 3, height, width], uint8 where `normalised` has something to do."""
        raw = {"do_rescale": False, "do_normalize": False} if self._is_raw else {}
        inputs = self._processor(list(images), return_tensors="pt", input_data_format="channels_last", **raw)
        pixels: Tensor = inputs["pixel_values"]
        return pixels

    def normalised(self, pixels: Tensor) -> Tensor:
        """The image encoder's input, in float32."""
        import torch

        if not self._is_raw:
            return pixels.float()
        mean, std = (
            torch.tensor(values, device=pixels.device).reshape(1, -1, 1, 1)
            for values in (self._processor.image_mean, self._processor.image_std)
        )
        return (pixels.float() * self._processor.rescale_factor - mean) / std


class FirstScores:
    """Looks whether the first FIRST_SCORES scores of a process are all equal, as those of broken weights are."""

    def __init__(self, folder: str, score: str) -> None:
        self._folder, self._score, self._count = folder, score, 0
        self._value: float | None = None

    def add(self, scores: Values) -> None:
        """Take in scores. Raises InputError where too many are equal."""
        if self._count >= FIRST_SCORES:
            return
        known = scores[~np.isnan(scores)]
        if not len(known):
            return
        self._value = float(known[0]) if self._value is None else self._value
        if (known != self._value).any():
            self._count = FIRST_SCORES
            return
        self._count += len(known)
        if self._count >= FIRST_SCORES:
            raise InputError(
                f"model is {self._folder}, whose first {self._count:,} {self._score} scores are all {self._value:g}, "
                "so that it tells no pairs apart; give a model that was trained"
            )


@functools.lru_cache(maxsize=4)
def matcher_of_process(folder: str, sha256: str, first_token: str, precision: str) -> Matcher:
    """`Matcher`, once in a process."""
    return Matcher(folder, first_token, precision)
