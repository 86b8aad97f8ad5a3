"""The group of a dual encoder: the cosine of image and caption, and the image's embedding where it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.errors import InputError
from pipelines.curate.look.fixed_calls import FixedCalls, device_of_process
from pipelines.curate.look.model_files import (
    IMAGE_PROCESSOR,
    TOKENIZER,
    load_model,
    loading,
    model_sha256,
    require,
    smallest_decode,
)
from pipelines.curate.look.picture import Picture

EMBEDDING = "embedding"
SHORTEST_TEXT = 16  # tokens; a text is filled up to the next power of two from here

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DualEncoderScores:
    """`NAME_similarity` (float64), and `embedding` (float16 of norm 1) of `dim` values; `dim` 0: no embedding is kept.

    The model lies in a local folder that every machine can read.
    """

    folder: str
    sha256: str
    model_name: str
    at_least: int
    dim: int = 0
    version: int = 1

    @property
    def name(self) -> str:
        return f"dual-encoder-{self.model_name}"

    @property
    def column(self) -> str:
        """The name of the column of cosines."""
        return f"{self.model_name}_similarity"

    def schema(self) -> pa.Schema:
        embedding = [(EMBEDDING, pa.list_(pa.float16(), self.dim))] if self.dim else []
        return pa.schema([(self.column, pa.float64()), *embedding])

    def settings(self) -> Mapping[str, object]:
        return {"model_sha256": self.sha256, "at_least": self.at_least, "embedding": self.dim}

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        encoder = encoder_of_process(self.folder, self.sha256)
        images = encoder.of_images([picture.decoded(self.at_least) for picture in pictures])
        texts = encoder.of_texts([picture.facts.caption for picture in pictures])
        columns = [pa.array(np.einsum("ij,ij->i", images, texts))]
        if self.dim:
            values = pa.array(images.astype(np.float16).ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(values, self.dim))
        return pa.record_batch(columns, self.schema())


def dual_encoder_scores(folder: str, name: str, embeddings: bool) -> DualEncoderScores:
    """The group of a model under a name. Raises InputError when it cannot be used."""
    sha256 = model_sha256(folder)
    dim = dimension(folder)
    return DualEncoderScores(folder, sha256, name, smallest_decode(folder), dim if embeddings else 0)


def dimension(folder: str) -> int:
    """The values of an embedding, as the model's config says. Raises InputError when it says none."""
    from transformers import AutoConfig

    with loading(folder):
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    projected = getattr(config, "projection_dim", None)
    found = projected or getattr(getattr(config, "vision_config", None), "hidden_size", None)
    if not isinstance(found, int):
        raise InputError(
            f"model is {folder}, a {config.model_type} without embeddings of image and text; give a dual encoder"
        )
    return found


class Encoder:
    """Both towers with image processor and tokenizer. Raises InputError when they cannot be loaded."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        require(folder, "image processor", IMAGE_PROCESSOR)
        require(folder, "tokenizer", TOKENIZER)
        with loading(folder):
            self._processor: Any = AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, backend="pil"
            )
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._calls = FixedCalls(device_of_process())
        model = load_model(AutoModel, folder)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise InputError(
                f"model is {folder}, a {type(model).__name__}, which has no features of image and text; give a CLIP, "
                "a SigLIP or a VisionTextDualEncoderModel"
            )
        self._model = model.to(self._calls.device)
        self._limit = text_limit(model.config, self._tokenizer)
        # SigLIP was trained on texts filled up to its limit, without a mask.
        self._shortest = self._limit if model.config.model_type.startswith("siglip") else SHORTEST_TEXT

    # Any: pictures of Pillow.
    def of_images(self, images: Sequence[Any]) -> Vectors:
        """Embeddings [n, dim] of norm 1 of RGB images."""
        inputs = self._processor(list(images), return_tensors="pt", input_data_format="channels_last")
        return _unit(self._calls(lambda chunk: self._model.get_image_features(**chunk).pooler_output, inputs))

    def of_texts(self, texts: Sequence[str]) -> Vectors:
        """Embeddings [n, dim] of norm 1; a text beyond the model's limit is cut.

        A text is filled up to a length that depends on itself alone, and called with others of that length.
        """
        tokens = self._tokenizer(list(texts), truncation=True, max_length=self._limit)
        sizes = [self._filled_length(len(ids)) for ids in tokens["input_ids"]]
        found: Vectors | None = None
        for size in sorted(set(sizes)):
            rows = [row for row, own in enumerate(sizes) if own == size]
            chosen = {name: [values[row] for row in rows] for name, values in tokens.items()}
            inputs = self._tokenizer.pad(chosen, padding="max_length", max_length=size, return_tensors="pt")
            vectors = _unit(
                self._calls(lambda chunk: self._model.get_text_features(**chunk).pooler_output, inputs)
            )
            found = np.zeros((len(texts), vectors.shape[1])) if found is None else found
            found[rows] = vectors
        return np.zeros((0, 0)) if found is None else found

    def _filled_length(self, tokens: int) -> int:
        return min(self._limit, max(self._shortest, 1 << (max(tokens, 1) - 1).bit_length()))


# Any: configuration and tokenizer of transformers.
def text_limit(config: Any, tokenizer: Any) -> int:
    """The tokens of the longest text that the model takes."""
    text = getattr(config, "text_config", config)
    limit = min(text.max_position_embeddings, tokenizer.model_max_length)
    if "roberta" in text.model_type:  # counts positions from the padding's number on
        limit = min(limit, text.max_position_embeddings - text.pad_token_id - 1)
    return int(limit)


# Any: a tensor of torch.
def _unit(features: Any) -> Vectors:
    vectors: Vectors = features.numpy().astype(np.float64)
    with np.errstate(invalid="ignore"):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@functools.lru_cache(maxsize=4)
def encoder_of_process(folder: str, sha256: str) -> Encoder:
    """`Encoder`, once in a process."""
    return Encoder(folder)
