"""Numbered boxes and numbered cells on a picture, each number in a colour of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont

from pretrain.evaluation.pictures.drawing import Color, resized

_Rectangle = tuple[float, float, float, float]  # left, top, right, bottom

DISTINCT: tuple[Color, ...] = (
    (230, 85, 75),
    (70, 140, 215),
    (90, 180, 90),
    (240, 165, 50),
    (160, 105, 200),
    (70, 190, 190),
    (235, 125, 180),
    (165, 130, 85),
    (190, 200, 70),
    (125, 135, 215),
    (215, 215, 215),
    (110, 160, 130),
)
"""Colours that can be told apart; with more things than colours they are used again."""

_DARK = "#202020"
_TAG = 17  # px, height of a label


def draw_boxes(
    image: Image.Image, boxes: Float[np.ndarray, "M 4"], labels: Sequence[str], side: int
) -> Image.Image:
    """The image with each box (left, top, width, height in px of the image) and its label on a tag.

    The first boxes lie on top. A tag stands above its box, or, where another tag is already, below it or inside.
    """
    picture = resized(image, side)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1) * (side / max(image.size))
    tags: list[_Rectangle] = []
    for box, label in zip(corners, labels, strict=True):
        tags.append(_free_place(box, pen.textlength(label, font=font) + 8, picture.size, tags))
    order = range(len(labels) - 1, -1, -1)
    for number in order:
        edges = np.clip(corners[number], 1, np.tile(picture.size, 2) - 2).tolist()
        pen.rectangle(edges, outline=_DARK, width=5)
        pen.rectangle(edges, outline=_color(number), width=3)
    for number in order:
        left, top, _, bottom = tags[number]
        pen.rectangle(tags[number], fill=_color(number), outline=_DARK)
        pen.text((left + 4, (top + bottom) / 2), labels[number], fill="#101010", font=font, anchor="lm")
    return picture


def draw_cells(image: Image.Image, numbers: Int[np.ndarray, "rows columns"], side: int) -> Image.Image:
    """The image in gray; a cell with a number from 0 up is tinted in its colour and shows it, counted from 1."""
    gray = resized(image, side).convert("L").convert("RGB")
    picture = Image.blend(gray, Image.new("RGB", gray.size), 0.25)
    pen = ImageDraw.Draw(picture, "RGBA")
    rows, columns = numbers.shape
    across, down = picture.width / columns, picture.height / rows
    font = ImageFont.load_default(min(14, max(8, round(min(across, down) / 2))))
    for (row, column), number in np.ndenumerate(numbers):
        if number < 0:
            continue
        left, top = column * across, row * down
        # A cell of a narrow picture may be smaller than a pixel.
        right, bottom = max(left, left + across - 1), max(top, top + down - 1)
        pen.rectangle((left, top, right, bottom), fill=(*_color(int(number)), 130))
        pen.text(
            (left + across / 2, top + down / 2),
            str(number + 1),
            fill="white",
            font=font,
            anchor="mm",
            stroke_width=1,
            stroke_fill="black",
        )
    return picture


def _free_place(
    box: Float[np.ndarray, "4"], width: float, size: tuple[int, int], taken: list[_Rectangle]
) -> _Rectangle:
    """A place for a tag at the left end of a box (left, top, right, bottom): the first free one, else the last."""
    left = min(max(box[0], 0), max(size[0] - width, 0))
    places = []
    for wanted in (box[1] - _TAG, box[3], box[1], box[3] - _TAG):
        top = min(max(wanted, 0), size[1] - 1 - _TAG)
        places.append((left, top, left + width, top + _TAG))
    free = [place for place in places if not any(_overlap(place, other) for other in taken)]
    return (free or places)[0 if free else -1]


def _overlap(first: _Rectangle, second: _Rectangle) -> bool:
    across = first[0] < second[2] and second[0] < first[2]
    return across and first[1] < second[3] and second[1] < first[3]


def _color(number: int) -> Color:
    return DISTINCT[number % len(DISTINCT)]
