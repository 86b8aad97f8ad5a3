"""Pairs as look groups are given them."""

from __future__ import annotations

import io

from PIL import Image
from raw_shards import picture

from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.look.picture import Picture


def look_pictures(count: int, captions: tuple[str, ...] = ("a red cat",)) -> list[Picture]:
    """Lossless pictures of other sides each, with captions in turn."""
    found = []
    for number in range(count):
        width, height = 40 + 7 * number, 60 + 3 * number
        data = picture(width, height, seed=number, format="PNG")
        facts = Facts(
            ImageHeader(width, height, "png"), captions[number % len(captions)], data, {}, len(data)
        )
        found.append(Picture(facts))
    return found


def opened(pictures: list[Picture]) -> list[Image.Image]:
    """The same pictures as Pillow reads them."""
    return [Image.open(io.BytesIO(picture.facts.data)).convert("RGB") for picture in pictures]
