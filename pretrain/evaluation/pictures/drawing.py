"""The colour type and the resizing that all pictures use."""

from __future__ import annotations

from PIL import Image

Color = tuple[int, int, int]


def resized(image: Image.Image, side: int) -> Image.Image:
    """The image in RGB with its longer side `side` px long."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
