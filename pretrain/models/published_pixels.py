"""How a published image tower's pixels are made: from the image processor that lies beside its weights."""

from __future__ import annotations

from typing import Any, NamedTuple

from transformers import AutoImageProcessor

from data_filters.errors import InputError
from pretrain.pixel_statistics import Channels, PixelStatistics

RESAMPLING = {2: "bilinear", 3: "bicubic", 1: "lanczos", 0: "nearest", 4: "box", 5: "hamming"}
"""PIL.Image.Resampling, as image processors store it → its name in a recipe."""


class PublishedPixels(NamedTuple):
    """What an image processor says of pixels: normalisation, and the filter of resizing (None: it does not resize)."""

    statistics: PixelStatistics
    resample: str | None


def published_pixels(name: str, key: str = "model.image.pretrained") -> PublishedPixels | None:
    """Read the image processor at a local path or of a hub name; None when there is none. `key` is the recipe's.

    A factor of rescaling other than 1/255, or none, is put into mean and deviation. Raises InputError when its numbers
    are not those of three channels.
    """
    try:
        processor = AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError):
        return None
    factor = 255 * float(processor.rescale_factor) if processor.do_rescale else 255.0
    mean, std = (0.0, 1.0) if not processor.do_normalize else (processor.image_mean, processor.image_std)
    try:
        statistics = PixelStatistics(_channels(mean, factor), _channels(std, factor))
        if not min(statistics.std) > 0:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{key} {name!r} has an image processor with image_mean {mean} and image_std {std}; "
            "allowed are three numbers each, deviations above 0; set model.image.pixel_mean and model.image.pixel_std"
        ) from error
    return PublishedPixels(
        statistics, RESAMPLING.get(int(processor.resample)) if processor.do_resize else None
    )


def published_side(name: str) -> int | None:
    """`processor_side` of the image processor at a local path or of a hub name; None when there is none."""
    try:
        processor = AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError):
        return None
    return processor_side(processor)


# Any: transformers has no type for what all its image processors share.
def processor_side(processor: Any) -> int | None:
    """The side in px of the images that an image processor makes; None when they are oblong or of any size."""
    size = dict(
        (processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size) or {}
    )
    sides = {int(size[key]) for key in ("height", "width", "shortest_edge") if size.get(key)}
    return sides.pop() if len(sides) == 1 else None


def _channels(value: object, factor: float) -> Channels:
    """One number, or three, divided by `factor`. Raises TypeError or ValueError for anything else."""
    red, green, blue = value if isinstance(value, list | tuple) else (value,) * 3
    return float(red) / factor, float(green) / factor, float(blue) / factor
