"""The keys of a recipe that say how pixels are made, and their values where that is left to published weights."""

from __future__ import annotations

import logging
from typing import TypeVar

from pipelines.common.config import Section

logger = logging.getLogger(__name__)

PIXEL_KEYS = ("pixel_mean", "pixel_std", "resample")

Image = TypeVar("Image", bound=Section)
"""A section with PIXEL_KEYS."""


def with_pixels_of(image: Image, pretrained: str, key: str, recorded: Section | None) -> Image:
    """Return the section with the pixels of the published weights' image processor in the keys that it leaves out.

    `key` is the recipe's key that names `pretrained`. `recorded` is the section of the run that goes on: its pixels
    stand, whatever lies beside the weights now. Raises InputError when the image processor's numbers are not those of
    three channels.
    """
    if image.model_fields_set.issuperset(PIXEL_KEYS):
        return image
    pixels = (
        _published(pretrained, key)
        if recorded is None
        else {name: getattr(recorded, name) for name in PIXEL_KEYS}
    )
    left_out = {name: value for name, value in pixels.items() if name not in image.model_fields_set}
    return image.model_copy(update=left_out)


def _published(name: str, key: str) -> dict[str, object]:
    """Values for PIXEL_KEYS from the image processor beside published weights; empty, with a warning, without one."""
    from pretrain.models.published_pixels import published_pixels

    found = published_pixels(name, key)
    if found is None:
        logger.warning(
            "%s %s has no image processor (preprocessor_config.json): mean and deviation of pixels are 0.5, images are "
            "resized bicubic; set model.image.pixel_mean, pixel_std and resample if it was trained otherwise",
            key,
            name,
        )
        return {}
    pixels: dict[str, object] = {"pixel_mean": found.statistics.mean, "pixel_std": found.statistics.std}
    return pixels if found.resample is None else pixels | {"resample": found.resample}
