"""Turns foreign bytes into an upright RGB picture: the one decoding for curation, training, evaluation and the API.

A picture is what a person sees in a viewer: turned as its EXIF orientation says, transparency on white, 16-bit and
other modes brought to 8 bits RGB, the first frame of an animation. Colour profiles are not applied.
"""

from __future__ import annotations

import functools
import importlib
import io
from typing import TYPE_CHECKING

from data_filters import containers
from data_filters.sample import BrokenSample

# Imaging libraries load with the first picture, since importing data_filters must stay cheap.
if TYPE_CHECKING:
    from PIL import Image, ImageFile

MOST_PIXELS = 89_478_485
"""Pixels of a picture that is decoded: Pillow's own limit for a warning, 256 MiB at 3 bytes a pixel. No photo of the
web is larger, and a file of a few kilobytes may claim any size."""

_PLUGINS = {
    "jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "png": ("PngImagePlugin", "PngImageFile"),
    "webp": ("WebPImagePlugin", "WebPImageFile"),
    "gif": ("GifImagePlugin", "GifImageFile"),
    "bmp": ("BmpImagePlugin", "BmpImageFile"),
    "tiff": ("TiffImagePlugin", "TiffImageFile"),
    "avif": ("AvifImagePlugin", "AvifImageFile"),
}
_WALKS = {"png": containers.walk_png, "webp": containers.walk_webp}
_ORIENTATION_TAG = 0x0112


def decode(data: bytes, at_least: int = 0) -> Image.Image:
    """Decode JPEG (also MPO), PNG, WebP, GIF, BMP, TIFF or AVIF to an upright RGB image.

    A JPEG is decoded at reduced scale while both sides stay at or above `at_least` px. The format is that of the
    bytes, whatever the file's name is.

    Raises BrokenSample whatever the decoders raise on such bytes: `unknown_image_format`, `too_many_pixels` (more than
    MOST_PIXELS; found before a pixel is decoded), `truncated_image` or `broken_image`. MemoryError passes.
    """
    kind = containers.image_format(data)
    if kind is None:
        raise unknown_format(data)
    try:
        return _decode_jpeg(data, at_least) if kind == "jpeg" else _decode_other(data, kind)
    except MemoryError:
        raise
    except Exception as error:
        raise broken(error, kind) from error


def upright(image: Image.Image) -> Image.Image:
    """Turn a Pillow image to an upright RGB image, by its EXIF orientation; transparency becomes white.

    The image given is not altered. Raises BrokenSample as `decode` does: Pillow reads pixels late.
    """
    kind = (image.format or image.mode).lower()
    try:
        check_pixels(*image.size)
        image.load()
        return _turned(_rgb(image), _orientation(image))
    except MemoryError:
        raise
    except Exception as error:
        raise broken(error, kind) from error


def check_pixels(width: int, height: int) -> None:
    """Raise BrokenSample `too_many_pixels` above MOST_PIXELS."""
    if width * height > MOST_PIXELS:
        raise BrokenSample("too_many_pixels", f"{width} x {height} px; the limit is {MOST_PIXELS} px")


def unknown_format(data: bytes) -> BrokenSample:
    """The error for bytes of no known format."""
    return BrokenSample("unknown_image_format", f"first bytes are {data[:8].hex(' ') or 'none'}")


def broken(error: Exception, kind: str) -> BrokenSample:
    """The BrokenSample that stands for what a decoder raised."""
    from PIL import Image

    if isinstance(error, BrokenSample):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return BrokenSample("too_many_pixels", f"{kind}: {text}")
    cut = isinstance(error, EOFError) or "truncated" in text.lower() or "premature end" in text.lower()
    return BrokenSample(
        "truncated_image" if cut else "broken_image", f"{kind}: {type(error).__name__}: {text}"
    )


def _decode_jpeg(data: bytes, at_least: int) -> Image.Image:
    import simplejpeg
    from PIL import Image

    container = containers.walk_jpeg(data, to_end=False)
    if container.damage:
        raise container.damage
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        check_pixels(width, height)
        image = Image.fromarray(
            simplejpeg.decode_jpeg(data, "RGB", min_height=at_least, min_width=at_least, min_factor=1)
        )
    except (BrokenSample, MemoryError):
        raise
    except Exception:
        # ValueError or KeyError for CMYK, arithmetic coding and such: Pillow reads more kinds of JPEG.
        image = _load(data, "jpeg")
    return _turned(image, container.orientation)


def _decode_other(data: bytes, kind: str) -> Image.Image:
    if kind not in _WALKS:
        return _load(data, kind, turn=True)
    container = _WALKS[kind](data)
    check_pixels(container.width, container.height)
    return _turned(_load(data, kind), container.orientation)


def _load(data: bytes, kind: str, turn: bool = False) -> Image.Image:
    """Decode by Pillow to RGB; with `turn`, turned as Pillow reads the orientation."""
    # The plugin itself, not Image.open: that tries all formats of the installation, PostScript among them.
    image = _plugin(kind)(io.BytesIO(data))
    check_pixels(*image.size)
    deep = kind == "png" and "RGB;16B" in str(image.tile)
    image.load()
    if deep and isinstance(image.info.get("transparency"), tuple):
        # Pillow reduces the pixels to 8 bits, but not the colour that is transparent.
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])
    picture = _rgb(image)
    return _turned(picture, _orientation(image)) if turn else picture


@functools.cache
def _plugin(kind: str) -> type[ImageFile.ImageFile]:
    containers.silence_pillow()
    module, name = _PLUGINS[kind]
    plugin: type[ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return plugin


def _orientation(image: Image.Image) -> int:
    """The orientation that Pillow finds in EXIF or XMP; 1 where it cannot be read, as viewers do."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        return int(value) if value in range(2, 9) else 1
    except MemoryError:
        raise
    except Exception:  # damaged EXIF raises many types
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    from PIL.Image import Transpose

    return image.transpose(
        {
            2: Transpose.FLIP_LEFT_RIGHT,
            3: Transpose.ROTATE_180,
            4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE,
            6: Transpose.ROTATE_270,
            7: Transpose.TRANSVERSE,
            8: Transpose.ROTATE_90,
        }[orientation]
    )


def _rgb(image: Image.Image) -> Image.Image:
    """The loaded image in 8-bit RGB, transparency on white."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV") or not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    seen = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(seen, mask=seen.getchannel("A"))
    return white


def _from_deep(image: Image.Image) -> Image.Image:
    """RGB of one channel of more than 8 bits.

    16 bits (I;16, and I within 0 to 65535) are divided by 257; F within 0 to 1 is multiplied by 255; other ranges are
    stretched from their least value (black) to their greatest (white). The transparent value of a PNG becomes white.
    """
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    real = values.dtype.kind == "f"
    if real:
        values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = values.min().item(), values.max().item()
    if not real and low >= 0 and high <= 65535:
        wide = values.astype(np.uint16)
        grey = (wide // 257 + (wide % 257 > 128)).astype(np.uint8)  # rounded; 16 bits hold 2 bytes a pixel
    else:
        if not real or low < 0 or high > 1:
            # Halves, since the range of the greatest floats is no float.
            half = np.float32((high / 2 - low / 2) or 1)
            values = (values.astype(np.float32) / 2 - np.float32(low / 2)) / half
        grey = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[np.asarray(image) == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
