"""Makes glyph masks of the Font Awesome solid font: the shapes that the icon world paints."""

import json
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data_filters.errors import InputError
from pipelines.icon_world.vocabulary import ICONS, NAMES

_EM = 512  # pixels: the size of the drawing from which all masks are reduced
_INSTALL = "pip install fontawesomefree==6.6.0"
_FAINT = 48  # of 255: outer rows and columns without a stronger pixel are cut off, so that the box is tight


def require_font() -> None:
    """Raise InputError unless the Font Awesome package with every icon of the vocabulary is installed."""
    _codepoints()


@lru_cache(maxsize=1)
def _codepoints() -> dict[str, int]:
    """Read name -> code point in the font from the package's metadata/icons.json."""
    if find_spec("fontawesomefree") is None:
        raise InputError(
            "the icon world is drawn with the Font Awesome font, and the package fontawesomefree is not "
            f"installed; run `{_INSTALL}`"
        )
    icons = json.loads(_asset("metadata", "icons.json"))
    missing = [icon for icon in ICONS.values() if "solid" not in icons.get(icon, {}).get("free", ())]
    if missing:
        raise InputError(
            f"the installed fontawesomefree has no solid icon {', '.join(missing)}; version 6.6.0 has all; "
            f"run `{_INSTALL}`"
        )
    return {name: int(icons[icon]["unicode"], 16) for name, icon in ICONS.items()}


def _asset(*parts: str) -> bytes:
    """Read a file inside the Font Awesome package."""
    return resources.files("fontawesomefree").joinpath("static", "fontawesomefree", *parts).read_bytes()


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    import io

    return ImageFont.truetype(io.BytesIO(_asset("webfonts", "fa-solid-900.ttf")), _EM)


@lru_cache(maxsize=len(NAMES))
def _drawing(name: str) -> Image.Image:
    """Draw the glyph in white on black at full size, cut to its bounding box."""
    canvas = Image.new("L", (2 * _EM, 2 * _EM))
    ImageDraw.Draw(canvas).text((_EM, _EM), chr(_codepoints()[name]), font=_font(), fill=255, anchor="mm")
    return canvas.crop(canvas.getbbox())


@lru_cache(maxsize=16384)
def glyph_mask(name: str, long_side: int) -> NDArray[np.uint8]:
    """Make the coverage [height, width] (0..255) of a glyph whose longer side is at most `long_side` pixels.

    The mask is tight: the first and last row and column contain painted pixels, so its shape is the size of the
    object's box.
    """
    drawing = _drawing(name)
    scale = long_side / max(drawing.size)
    width, height = (max(1, round(side * scale)) for side in drawing.size)
    mask = np.asarray(drawing.resize((width, height), Image.Resampling.BOX))
    rows = np.flatnonzero((mask >= _FAINT).any(axis=1))
    columns = np.flatnonzero((mask >= _FAINT).any(axis=0))
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    mask.flags.writeable = False
    return mask
