"""Filters of the image, from its header: format, size, whether the file has its end. Nothing is decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass

from data_filters.filter import Filter, Limit
from data_filters.sample import BrokenSample

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8\xff"
_JPEG_SCAN = b"\xff\xda"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class ImageHeader:
    """Width and height in pixels as stored (an EXIF rotation is not applied); format `jpeg`, `png` or `webp`."""

    width: int
    height: int
    format: str


def read_header(data: bytes) -> ImageHeader:
    """Read format and size from the first bytes; the format is that of the bytes, whatever the file's name is.

    Raises BrokenSample: `unknown_image_format`, `broken_image` (a header that cannot be read) or
    `truncated_image` (a file without its end).
    """
    # Imported here, since importing data_filters must stay cheap.
    import imagesize
    import simplejpeg

    kind = _format(data)
    if kind is None:
        raise BrokenSample("unknown_image_format", f"first bytes are {data[:8].hex(' ') or 'none'}")
    try:
        if kind == "jpeg":
            height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        else:
            width, height = imagesize.get(io.BytesIO(data))
    except Exception as error:
        # Decoders of damaged bytes raise many types (ValueError, struct.error, IndexError); all mean the same here.
        raise BrokenSample("broken_image", f"{kind} header: {error}") from error
    if width < 1 or height < 1:
        raise BrokenSample("broken_image", f"{kind} header: size {width} x {height}")
    if not _has_end(data, kind):
        raise BrokenSample("truncated_image", f"{kind} of {len(data)} bytes has no end")
    return ImageHeader(int(width), int(height), kind)


def shorter_side(header: ImageHeader) -> float:
    """Return the smaller of width and height, in pixels."""
    return float(min(header.width, header.height))


def aspect_ratio(header: ImageHeader) -> float:
    """Divide the longer side by the shorter one; 1 or more, no unit."""
    return max(header.width, header.height) / min(header.width, header.height)


SMALL_IMAGE = Filter(
    score="shorter_side",
    measure=lambda facts: shorter_side(facts.image),
    above=Limit(
        key="min_side",
        default=200,
        minimum=0,
        quantity="shorter side",
        unit="px",
        description="pixels; a pair is dropped unless width and height are both above this",
    ),
)

EXTREME_ASPECT = Filter(
    score="aspect_ratio",
    measure=lambda facts: aspect_ratio(facts.image),
    at_most=Limit(
        key="max_aspect",
        default=10.0,
        minimum=1,
        quantity="aspect ratio",
        unit="",
        description="longer over shorter side, no unit; a pair is dropped when above this",
    ),
)


def _format(data: bytes) -> str | None:
    if data.startswith(_JPEG_START):
        return "jpeg"
    if data.startswith(_PNG_SIGNATURE):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None


def _has_end(data: bytes, kind: str) -> bool:
    if kind == "jpeg":
        # Compressed data never holds FF D9 or FF DA, so an end marker must follow the last start of a scan. An end
        # marker before that belongs to an embedded thumbnail. Any bytes may follow the end marker.
        end = data.rfind(_JPEG_END)
        return end != -1 and data.find(_JPEG_SCAN, end) == -1
    if kind == "png":
        return data.rfind(b"IEND") != -1
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")
