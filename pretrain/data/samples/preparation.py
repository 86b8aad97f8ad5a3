"""Preparation of samples: decoded and cropped to pairs, pairs to batches; unreadable ones are counted."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import BrokenSample, Sample
from pretrain.data.samples.batch import Batch, Span, collate, hash64
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation, crop
from pretrain.data.samples.phrases import phrase_spans

logger = logging.getLogger(__name__)

UNREADABLE = (ValueError, OSError)
"""What reading a sample raises: BrokenSample and BrokenShard are ValueErrors, storage raises OSError."""


class Pair(NamedTuple):
    """An image [3, H, W] of bytes, its caption, the caption's phrases, and the hash of the image's file."""

    key: str
    image: np.ndarray
    caption: str
    phrases: Sequence[Span]
    image_hash: int


@dataclass(frozen=True)
class Preparation:
    """Settings of the steps from a sample to a batch."""

    encode: CaptionEncoder
    image_size: int
    augmentation: Augmentation
    max_phrases: int = 0
    phrase_share: float = 0.0  # share of captions that are replaced by one of their phrases

    def pair(self, sample: Sample, seed: tuple[int, ...]) -> Pair:
        """Decode, crop and mirror a sample; the random choices are a function of `seed`.

        Raises BrokenSample when the sample has no image, caption or phrases that can be read.
        """
        if sample.image is None:
            raise BrokenSample("no_image", f"sample {sample.key} has no image")
        if not sample.caption:
            raise BrokenSample("no_caption", f"sample {sample.key} has no caption")
        phrases = _phrases(sample) if self.max_phrases or self.phrase_share else []
        smallest = self.augmentation.scale[0] if self.augmentation.scale else 1.0
        image = decode(sample.image, at_least=math.ceil(self.image_size / math.sqrt(smallest)))
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        values = crop(image, self.image_size, sample.caption, self.augmentation, generator)
        caption = sample.caption
        if self.phrase_share and generator.random() < self.phrase_share and phrases:
            start, end = phrases[int(generator.integers(len(phrases)))]
            caption, phrases = caption[start:end], [(0, end - start)]
        return Pair(sample.key, values, caption, phrases, hash64(sample.image))

    def batches(self, pairs: Sequence[Pair], count: int) -> list[Batch]:
        """Collate the pairs of a step into `count` micro-batches of equal size."""
        size = len(pairs) // count
        return [self._batch(pairs[start : start + size]) for start in range(0, len(pairs), size)]

    def _batch(self, pairs: Sequence[Pair]) -> Batch:
        keys, images, captions, phrases, hashes = zip(*pairs, strict=True)
        return collate(list(keys), images, list(captions), self.encode, phrases, self.max_phrases, hashes)


def _phrases(sample: Sample) -> Sequence[Span]:
    try:
        return phrase_spans(sample)
    except (ValueError, OverflowError) as error:  # int() of a JSON number may overflow
        raise BrokenSample("broken_phrases", str(error)) from error


class BadSamples:
    """Counts samples that cannot be read, logs each, and ends the run when there are too many."""

    def __init__(self, max_fraction: float) -> None:
        self.max_fraction = max_fraction
        self.count = 0
        self.seen = 0
        self._lock = threading.Lock()

    def saw(self, count: int = 1) -> None:
        """Count `count` samples as read, readable or not."""
        with self._lock:
            self.seen += count

    def add(self, where: str, error: BaseException, lost: int = 1) -> None:
        """Count and log one that cannot be read, or `lost` ones.

        Raises InputError when they are more than ten and more than `max_fraction` of all samples read.
        """
        with self._lock:
            self.count += lost
            count, seen = self.count, self.seen
        logger.warning("%s replaced: %s: %s", where, type(error).__name__, error)
        if count > max(10, self.max_fraction * seen):
            raise InputError(
                f"{count} of {seen} samples cannot be read, the last {where}: {error}; allowed is "
                f"data.max_bad_fraction = {self.max_fraction}; raise it, or mend the data and "
                "start again with --accept-changed-data"
            ) from error
