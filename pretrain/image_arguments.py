"""Images as callers of the Python API give them: Pillow images, paths or the bytes of a file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import cast

from PIL import Image

from data_filters.decode import decode, upright
from data_filters.errors import InputError
from data_filters.sample import BrokenSample

AnyImage = Image.Image | str | os.PathLike[str] | bytes | bytearray
"""A Pillow image, the path of a local file, or the bytes of one."""

ALLOWED = "give a Pillow image, the path of a local file, or the bytes of one"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def open_image(image: AnyImage) -> Image.Image:
    """The image in RGB as a viewer shows it: upright by its EXIF orientation, transparency on white.

    Raises InputError for anything else than an image, and for one that cannot be read.
    """
    try:
        if isinstance(image, Image.Image):
            return upright(image)
        if isinstance(image, bytes | bytearray):
            return decode(bytes(image))
    except BrokenSample as broken:
        raise InputError(f"image cannot be read ({broken}); {ALLOWED}") from broken
    if not isinstance(image, str | os.PathLike):
        raise InputError(f"image is {_described(image)}; {ALLOWED}")
    path = os.fspath(image)
    if isinstance(path, str) and _URL.match(path):
        raise InputError(f"image is the URL {path!r}; fetch it first and {ALLOWED}")
    try:
        with open(path, "rb") as file:
            data = file.read()
        return decode(data)
    except (BrokenSample, OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"image {path!r} cannot be read ({reason}); {ALLOWED}") from error


def image_list(images: AnyImage | Sequence[AnyImage]) -> list[AnyImage]:
    """A list of images; one image is a list of one. Raises InputError for anything else and for none."""
    if isinstance(images, Image.Image | str | os.PathLike | bytes | bytearray):
        return [images]
    if not isinstance(images, Sequence):
        raise InputError(f"images is {_described(images)}; give a list of images, or one image")
    if not images:
        raise InputError("images is an empty list; give at least one image")
    return list(cast(Sequence[AnyImage], images))


def text_list(texts: str | Sequence[str], name: str) -> list[str]:
    """A list of texts; one text is a list of one. Raises InputError, which calls them `name`, for anything else."""
    given = [texts] if isinstance(texts, str) else texts
    if not isinstance(given, Sequence) or not given or not all(isinstance(text, str) for text in given):
        raise InputError(f"{name} is {_described(texts)}; give a list of texts, at least one")
    return list(given)


def _described(value: object) -> str:
    """The value in a few words: its text where that is short and of one line, else its type."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{kind} of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {kind}"
