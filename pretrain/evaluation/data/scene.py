"""An image with known objects and the expressions that refer to them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

Box = tuple[float, float, float, float]
"""(left, top, width, height) in px."""


@dataclass(frozen=True)
class TrueObject:
    """An annotated object; `box` is in px of the scene's image. A crowd is many objects in one box (COCO).

    `attributes` are words that stand before its name, in their order: "small red"; empty where the data say nothing.
    """

    name: str
    box: Box
    crowd: bool = False
    attributes: str = ""


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
