"""An image with known objects and the expressions that refer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

Box = tuple[float, float, float, float]
"""(left, top, width, height) in px."""


@dataclass(frozen=True)
class TrueObject:
    """An annotated object; `box` is in px of the scene's image. A crowd is many objects in one box (COCO)."""

    name: str
    box: Box
    crowd: bool = False


@dataclass(frozen=True)
class Expression:
    """A text that refers to object number `target`; `kind` is its kind, where the data say so."""

    text: str
    target: int
    kind: str | None = None


@dataclass(frozen=True)
class Scene:
    """One image, its objects and its expressions."""

    key: str
    image: Image.Image
    objects: tuple[TrueObject, ...]
    expressions: tuple[Expression, ...]


def sides_swapped(metadata: Mapping[str, Any], width: int, height: int) -> bool:
    """Whether the annotated width and height are those of the image lying on its side.

    Boxes refer to the picture as shown, as annotation tools show it: EXIF's orientation is applied, and `width` and
    `height` beside the boxes must say so. Where they are the sides as stored, boxes would be read wrongly: such a
    scene is left out and counted.
    """
    return width != height and (metadata.get("width"), metadata.get("height")) == (height, width)


def read_objects(metadata: Mapping[str, Any], width: int, height: int) -> tuple[TrueObject, ...] | None:
    """The objects of a sample's JSON, boxes scaled to an image of `width` × `height` px.

    They stand under `objects` [{name, box}] or, in COCO's words, under `boxes` [{category, bbox, iscrowd}]. None:
    not annotated, or annotated for a picture of other sides (`sides_swapped`). Empty tuple: annotated, no object.
    """
    if sides_swapped(metadata, width, height):
        return None
    across, down = width / (metadata.get("width") or width), height / (metadata.get("height") or height)
    if isinstance(metadata.get("objects"), list):
        rows = [(row["name"], row["box"], False) for row in metadata["objects"]]
    elif isinstance(metadata.get("boxes"), list):
        rows = [(row["category"], row["bbox"], bool(row.get("iscrowd"))) for row in metadata["boxes"]]
    else:
        return None
    return tuple(
        TrueObject(str(name), (box[0] * across, box[1] * down, box[2] * across, box[3] * down), crowd)
        for name, box, crowd in rows
    )
