"""Prepared pairs → the tensors of a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import MEAN, STD
from pretrain.data.samples.phrase_tokens import align_phrases

Span = tuple[int, int]  # characters of a caption, half open


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one worker. B pairs, L tokens (the longest caption here), P slots for phrases.

    Pixels come from a reader as bytes, a quarter of the memory and of the copy to a device; `to` makes them numbers
    from -1 to 1. P is `data.max_phrases` in every batch of a run, so shapes do not follow from how many phrases there
    are; a batch made without phrases has no slot.
    """

    keys: list[str]
    pixel_values: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]
    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    phrase_tokens: Bool[Tensor, "B P L"] = None  # type: ignore[assignment]  # which tokens each phrase covers
    phrase_mask: Bool[Tensor, "B P"] = None  # type: ignore[assignment]  # which slots hold a phrase

    def __post_init__(self) -> None:
        if self.phrase_tokens is None:
            mask = torch.zeros(len(self.keys), 0, dtype=torch.bool, device=self.input_ids.device)
            object.__setattr__(self, "phrase_mask", mask)
            object.__setattr__(self, "phrase_tokens", mask[..., None].expand(-1, -1, self.input_ids.shape[1]))

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The same batch on `device`, pixels from -1 to 1 as `dtype`.

        Copies from pinned memory run beside computation.
        """
        moved = {
            field.name: value.to(device, dtype if value.is_floating_point() else None, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        moved["pixel_values"] = normalised(moved["pixel_values"], dtype)
        return replace(self, **moved)

    def pin(self) -> Batch:
        """The same batch in page-locked memory (CUDA only)."""
        pinned = {
            field.name: value.pin_memory()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **pinned)


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes as numbers from -1 to 1, computed in fp32 whatever `dtype`; numbers as they are."""
    if pixels.dtype != torch.uint8:
        return pixels
    return pixels.float().div_(255.0).sub_(MEAN).div_(STD).to(dtype)


def collate(
    keys: list[str],
    images: Sequence[np.ndarray],
    captions: list[str],
    encode: CaptionEncoder,
    phrases: Sequence[Sequence[Span]],
    max_phrases: int,
) -> Batch:
    """A batch from images [3, H, W] and captions, which `encode` cuts at its limit.

    `phrases` holds for each caption the spans of its phrases; the first `max_phrases` that the cut leaves whole are
    in the batch.
    """
    if not max_phrases:
        phrases = [()] * len(captions)
    tokens = encode(captions, offsets_of=[row for row, spans in enumerate(phrases) if spans])
    found = align_phrases(tokens.offsets, phrases, max_phrases)
    batch = Batch(
        keys=keys,
        pixel_values=torch.from_numpy(np.stack(images)),
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        phrase_tokens=found.tokens,
        phrase_mask=found.mask,
    )
    # Page-locked here, on the reader's thread, so that the copy to a GPU runs beside computation.
    return batch.pin() if torch.cuda.is_available() else batch
