"""Examples to look at: pictures with boxes drawn on them, evenly spaced over the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from PIL import Image, ImageDraw, ImageFont

from pretrain.evaluation.pictures.examples import EXAMPLES, PICTURES
from pretrain.evaluation.results import write_json

SIDE = 320  # px, longer side of an example's picture
TRUTH, RIGHT, WRONG = "#ffffff", "#35b779", "#ff7043"

T = TypeVar("T")
Drawn = tuple[Sequence[float], str, str]
"""A box (left, top, width, height) in px of the image, its colour, its label."""


class EvenlySpaced(Generic[T]):
    """Keeps between `count` and 2 × `count` items of a stream of unknown length, evenly spaced from the first."""

    def __init__(self, count: int) -> None:
        self.count, self.every, self.seen = count, 1, 0
        self.items: list[T] = []

    def wanted(self) -> bool:
        """Whether the item that comes next is to be offered to `keep`."""
        due = self.count > 0 and self.seen % self.every == 0
        self.seen += 1
        return due

    def keep(self, item: T) -> None:
        """Take an item that was wanted."""
        self.items.append(item)
        if len(self.items) == 2 * self.count:
            del self.items[1::2]
            self.every *= 2

    def chosen(self) -> list[T]:
        """The `count` (or fewer) items, evenly spaced among those kept."""
        total = len(self.items)
        count = min(self.count, total)
        return [self.items[total * number // count] for number in range(count)]


def draw(image: Image.Image, boxes: Sequence[Drawn]) -> Image.Image:
    """A picture of `SIDE` px with the boxes on it: a coloured line on a dark one, seen on any background."""
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = image.resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12)
    for (left, top, width, height), color, label in boxes:
        corners = [left * scale, top * scale, (left + width) * scale, (top + height) * scale]
        corners = [min(max(value, 1), side - 2) for value, side in zip(corners, (*size, *size), strict=True)]
        pen.rectangle(corners, outline="#202020", width=5)
        pen.rectangle(corners, outline=color, width=3)
        if label:
            place = (corners[0] + 3, corners[1] + 2)
            pen.text(place, label, fill=color, font=font, stroke_width=2, stroke_fill="#202020")
    return picture


def write_drawn(output: str, name: str, entries: Sequence[tuple[dict[str, Any], Image.Image]]) -> None:
    """Write `examples.json` ({name: entries}, each with its `image`) and a picture `examples/IMAGE.jpg` each."""
    folder = Path(output) / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for entry, picture in entries:
        picture.save(folder / f"{entry['image']}.jpg", quality=88)
    write_json(Path(output) / EXAMPLES, {name: [entry for entry, _ in entries]})
