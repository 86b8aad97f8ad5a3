"""The tensors of a training step, collated from prepared pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xxhash
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.phrase_tokens import align_phrases, word_starts
from pretrain.pixel_statistics import STANDARD, PixelStatistics

Span = tuple[int, int]  # characters of a caption, half open


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one worker. B pairs, L tokens (the longest caption here), P slots for phrases.

    Pixels come from a reader as bytes, a quarter of the memory and of the copy to a device; `to` converts them to
    the numbers that the image tower takes. P is `data.max_phrases` in every batch of a run, so that shapes do not
    depend on the number of phrases; a batch made without phrases has no slot.
    """

    keys: list[str]
    pixel_values: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]
    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    # None of the rest is None in a batch: `__post_init__` replaces the defaults, which needs the fields above.
    phrase_tokens: Bool[Tensor, "B P L"] = None  # type: ignore[assignment]  # which tokens each phrase covers
    phrase_mask: Bool[Tensor, "B P"] = None  # type: ignore[assignment]  # which slots hold a phrase
    # Which tokens begin a word, in captions with phrases; without this every token counts as a word.
    word_starts: Bool[Tensor, "B L"] = None  # type: ignore[assignment]
    # 64-bit hashes, by which pairs with equal images are told; without images' hashes every image counts as another.
    key_hashes: Int[Tensor, " B"] = None  # type: ignore[assignment]
    image_hashes: Int[Tensor, " B"] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.key_hashes is None:
            hashes = [hash64(key.encode("utf-8", "surrogatepass")) for key in self.keys]
            object.__setattr__(
                self, "key_hashes", torch.tensor(hashes, dtype=torch.int64, device=self.input_ids.device)
            )
        if self.image_hashes is None:
            object.__setattr__(self, "image_hashes", self.key_hashes)
        if self.word_starts is None:
            object.__setattr__(self, "word_starts", torch.ones_like(self.input_ids, dtype=torch.bool))
        if self.phrase_tokens is None:
            mask = torch.zeros(len(self.keys), 0, dtype=torch.bool, device=self.input_ids.device)
            object.__setattr__(self, "phrase_mask", mask)
            object.__setattr__(self, "phrase_tokens", mask[..., None].expand(-1, -1, self.input_ids.shape[1]))

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device, dtype: torch.dtype, statistics: PixelStatistics = STANDARD) -> Batch:
        """Copy to `device`, with pixels normalised by `statistics` as `dtype`.

        Copies from pinned memory run while the device computes.
        """

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking=True)

        batch = self._each_tensor(moved)
        return replace(batch, pixel_values=normalised(batch.pixel_values, dtype, statistics))

    def pin(self) -> Batch:
        """Copy to page-locked memory (CUDA only)."""
        return self._each_tensor(Tensor.pin_memory)

    def _each_tensor(self, function: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            keys=self.keys,
            pixel_values=function(self.pixel_values),
            input_ids=function(self.input_ids),
            attention_mask=function(self.attention_mask),
            key_hashes=function(self.key_hashes),
            image_hashes=function(self.image_hashes),
            phrase_tokens=function(self.phrase_tokens),
            phrase_mask=function(self.phrase_mask),
            word_starts=function(self.word_starts),
        )


def hash64(data: bytes) -> int:
    """xxh3 of some bytes as a signed 64-bit number."""
    return xxhash.xxh3_64_intdigest(data) - (1 << 63)


def normalised(pixels: Tensor, dtype: torch.dtype, statistics: PixelStatistics = STANDARD) -> Tensor:
    """Bytes [..., 3, H, W] normalised in fp32 and returned as `dtype`; other numbers as they are."""
    if pixels.dtype != torch.uint8:
        return pixels
    shares = pixels.float().div_(255.0)
    if statistics == STANDARD:
        return shares.sub_(0.5).div_(0.5).to(dtype)
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in statistics)
    return shares.sub_(mean).div_(std).to(dtype)


def collate(
    keys: list[str],
    images: Sequence[np.ndarray],
    captions: list[str],
    encode: CaptionEncoder,
    phrases: Sequence[Sequence[Span]],
    max_phrases: int,
    image_hashes: Sequence[int] | None = None,
) -> Batch:
    """Build a batch from images [3, H, W] and captions, which `encode` cuts at its limit.

    `image_hashes` are those of the files (`hash64`); without them every image counts as another.

    `phrases` holds the spans of each caption's phrases; the first `max_phrases` that lie within the cut are in the
    batch.
    """
    if not max_phrases:
        phrases = [()] * len(captions)
    tokens = encode(captions, offsets_of=[row for row, spans in enumerate(phrases) if spans])
    aligned = align_phrases(tokens.offsets, phrases, max_phrases)
    batch = Batch(
        keys=keys,
        pixel_values=torch.from_numpy(np.stack(images)),
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        image_hashes=None if image_hashes is None else torch.tensor(image_hashes, dtype=torch.int64),  # type: ignore[arg-type]
        phrase_tokens=aligned.tokens,
        phrase_mask=aligned.mask,
        word_starts=word_starts(tokens.offsets),
    )
    # Page-locked here, on the reader's thread, so that the copy to a GPU runs while the GPU computes.
    return batch.pin() if torch.cuda.is_available() else batch
