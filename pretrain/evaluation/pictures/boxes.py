"""Pictures with boxes drawn on them, in colours that say what is true and what is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from pretrain.evaluation.pictures.drawing import resized

SIDE = 320  # px, longer side of an example's picture
TRUTH, RIGHT, WRONG = "#ffffff", "#35b779", "#ff7043"

LabelledBox = tuple[Sequence[float] | Float[np.ndarray, "4"], str, str]
"""A box (left, top, width, height) in px of the image, its colour, its label."""


def draw(image: Image.Image, boxes: Sequence[LabelledBox]) -> Image.Image:
    """A picture of `SIDE` px with the boxes on it: a coloured line on a dark one, visible on any background."""
    picture = resized(image, SIDE)
    scale = SIDE / max(image.size)
    limits = (*picture.size, *picture.size)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12)
    for (left, top, width, height), color, label in boxes:
        corners = [left * scale, top * scale, (left + width) * scale, (top + height) * scale]
        corners = [min(max(value, 1), side - 2) for value, side in zip(corners, limits, strict=True)]
        pen.rectangle(corners, outline="#202020", width=5)
        pen.rectangle(corners, outline=color, width=3)
        if label:
            place = (corners[0] + 3, corners[1] + 2)
            pen.text(place, label, fill=color, font=font, stroke_width=2, stroke_fill="#202020")
    return picture
