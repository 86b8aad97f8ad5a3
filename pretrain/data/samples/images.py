"""The augmentation of the papers: random resized crop and mirroring."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDES = re.compile(r"\b(left|right)", re.IGNORECASE)


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random resized crop (share of the area, aspect ratio), mirroring, and the filter of resizing.

    With `scale` None the image is not cropped. `resample` is a name of `PIL.Image.Resampling`, in small letters.
    """

    scale: tuple[float, float] | None
    ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: bool = False
    resample: str = "bicubic"


def crop(
    image: Image.Image, size: int, caption: str, augmentation: Augmentation, generator: np.random.Generator
) -> np.ndarray:
    """Crop to [3, size, size] uint8 pixels.

    A crop drawn from `generator` is resized to size × size. The image is mirrored only where the caption
    names neither left nor right, since mirroring would make such a caption false.
    """
    box = _crop_box(image.size, augmentation, generator)
    resized = image.resize((size, size), Image.Resampling[augmentation.resample.upper()], box=box)
    mirrored = augmentation.flip and generator.random() < 0.5 and not SIDES.search(caption)
    values = np.asarray(resized)
    if mirrored:
        values = values[:, ::-1]
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _crop_box(
    size: tuple[int, int], augmentation: Augmentation, generator: np.random.Generator
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a random crop (Inception style); the whole image when ten draws do not fit."""
    width, height = size
    if augmentation.scale is None or augmentation.scale == (1.0, 1.0):
        return 0, 0, width, height
    low, high = (math.log(bound) for bound in augmentation.ratio)
    for _ in range(10):
        area = width * height * generator.uniform(*augmentation.scale)
        aspect = math.exp(generator.uniform(low, high))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = generator.uniform(0, width - w), generator.uniform(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height
