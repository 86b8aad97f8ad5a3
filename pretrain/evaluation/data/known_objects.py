"""The objects of an image as its JSON lists them: which of them are usable, and what is wrong with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_filters.sample import BrokenSample
from pretrain.evaluation.data.foreign_json import number_of, text_of, whole_number_of
from pretrain.evaluation.data.scene import Box, TrueObject


@dataclass(frozen=True)
class KnownObjects:
    """The usable objects of an image. `places`: number of an object in the data → its place in `objects`.

    `unusable` counts the others by reason: `no_name`; `no_box`, `broken_box` (not four finite numbers), `empty_box`
    (no width or height), `box_outside` (outside the image), `broken_crowd` (`iscrowd` is not 0 or 1),
    `broken_object` (no JSON object).
    """

    objects: tuple[TrueObject, ...]
    places: Mapping[int, int]
    unusable: Counter[str]


def read_objects(metadata: Mapping[str, Any], width: int, height: int) -> KnownObjects | None:
    """The objects of a sample's JSON, boxes scaled to an image of `width` × `height` px.

    They stand under `objects` [{name, box, size, color}] (the last two are its attributes and may lack) or, in COCO's
    words, under `boxes` [{category, bbox, iscrowd}]. The boxes are in px of an image of the JSON's `width` and
    `height`; without these, of the image itself. None: not annotated. No objects: annotated, nothing there.

    Boxes refer to the picture as shown, as annotation tools show it (EXIF's orientation is applied).

    Raises BrokenSample: `broken_size` where width or height is no number of pixels, `sides_swapped` where they are
    those of the image lying on its side, so that the boxes would be read wrongly.
    """
    rows = _rows(metadata)
    if rows is None:
        return None
    if width != height and (metadata.get("width"), metadata.get("height")) == (height, width):
        raise BrokenSample(
            "sides_swapped", f"boxes are for {height} × {width} px, the image is shown as {width} × {height}"
        )
    across = width / _side(metadata, "width", width)
    down = height / _side(metadata, "height", height)
    objects: list[TrueObject] = []
    places: dict[int, int] = {}
    unusable = Counter[str]()
    for number, row in enumerate(rows):
        try:
            if row is None:
                raise BrokenSample("broken_object", "an entry of the list is no JSON object")
            left, top, wide, high = read_box(row.box)
            box = (left * across, top * down, wide * across, high * down)
            if box[0] >= width or box[1] >= height or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
                raise BrokenSample("box_outside", f"box is {row.box!r} in an image of {width} × {height} px")
            known = TrueObject(_name(row.name), box, _crowd(row.crowd), row.attributes)
        except BrokenSample as broken:
            unusable[broken.reason] += 1
            continue
        places[number] = len(objects)
        objects.append(known)
    return KnownObjects(tuple(objects), places, unusable)


def object_names(metadata: Mapping[str, Any]) -> Iterator[str]:
    """The names of a sample's objects, of unusable ones as well, where they have a name."""
    for row in _rows(metadata) or ():
        if row is None:
            continue
        try:
            yield _name(row.name)
        except BrokenSample:
            continue


def read_box(value: object) -> Box:
    """A box [left, top, width, height] in px. Raises BrokenSample, see `KnownObjects`."""
    if value is None:
        raise BrokenSample("no_box", "there is no box")
    numbers = [number_of(part) for part in value] if isinstance(value, list | tuple) else []
    known = [number for number in numbers if number is not None]
    if len(numbers) != 4 or len(known) != 4:
        raise BrokenSample("broken_box", f"box is {value!r}; expected [left, top, width, height] in px")
    left, top, width, height = known
    if width <= 0 or height <= 0:
        raise BrokenSample("empty_box", f"box is {value!r}, which has no area")
    return left, top, width, height


@dataclass(frozen=True)
class _Row:
    """An object as it is listed, unchecked."""

    name: object = None
    box: object = None
    crowd: object = None
    attributes: str = ""


def _rows(metadata: Mapping[str, Any]) -> list[_Row | None] | None:
    """The listed objects, None for an entry that is no JSON object; None where nothing is listed."""
    for listed, name, box in (("objects", "name", "box"), ("boxes", "category", "bbox")):
        rows = metadata.get(listed)
        if isinstance(rows, list):
            return [
                _Row(row.get(name), row.get(box), row.get("iscrowd"), _attributes(row))
                if isinstance(row, Mapping)
                else None
                for row in rows
            ]
    return None


def _name(value: object) -> str:
    number = whole_number_of(value)
    name = text_of(value) if number is None else str(number)
    if name is None:
        raise BrokenSample("no_name", f"name is {value!r}; expected a text")
    return name


def _attributes(row: Mapping[str, Any]) -> str:
    """The words of an object's size and color, in this order; those that are no text are left out."""
    words = (text_of(row.get(field)) for field in ("size", "color"))
    return " ".join(word for word in words if word is not None)


def _crowd(value: object) -> bool:
    if value is None:
        return False
    # 0.0 and false are equal to 0 as well.
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise BrokenSample("broken_crowd", f"iscrowd is {value!r}; expected 0 or 1")


def _side(metadata: Mapping[str, Any], name: str, of_image: int) -> float:
    """Width or height of the image that the boxes are for; null and 0 stand for an unknown one."""
    value = metadata.get(name)
    if value is None:
        return of_image
    number = number_of(value)
    if number == 0:
        return of_image
    if number is None or number < 1:
        raise BrokenSample("broken_size", f"{name} is {value!r}; expected pixels")
    return number
