"""Filters of the image, from its header: format, size, whether the first picture is whole. Nothing is decoded."""

from __future__ import annotations

from typing import NamedTuple

from data_filters.containers import Container, image_format, walk_jpeg, walk_png, walk_webp
from data_filters.decode import MOST_PIXELS, check_pixels, unknown_format
from data_filters.filter import Filter, Limit
from data_filters.other_formats import OTHER_FORMATS
from data_filters.sample import BrokenSample


class ImageHeader(NamedTuple):
    """Width and height in pixels as shown (EXIF's orientation applied); `format` is that of the
    bytes: `jpeg`, `png`, `webp`, `gif`, `bmp`, `tiff` or `avif`."""

    width: int
    height: int
    format: str


def read_header(data: bytes) -> ImageHeader:
    """Read format and size from the headers; the format is that of the bytes, whatever the file's name is.

    A file is judged by its first picture: a video or a second picture behind it may be cut. Whether the picture is
    whole is seen for JPEG, PNG and WebP; of GIF, BMP, TIFF and AVIF the header is read and nothing else.

    Raises BrokenSample: `unknown_image_format`, `broken_image` (a header that cannot be read), `truncated_image` (the
    first picture has no end) or `too_many_pixels` (more than `decode.MOST_PIXELS`).
    """
    kind = image_format(data)
    if kind == "jpeg":
        container, width, height = _jpeg(data)
    elif kind == "png":
        container = walk_png(data)
        width, height = container.width, container.height
    elif kind == "webp":
        container = walk_webp(data)
        width, height = container.width, container.height
    elif kind is not None:
        container = OTHER_FORMATS[kind](data)
        width, height = container.width, container.height
    else:
        raise unknown_format(data)
    if width < 1 or height < 1:
        raise BrokenSample("broken_image", f"{kind} header: size {width} x {height}")
    check_pixels(width, height)
    if container.damage:
        raise container.damage
    if container.orientation >= 5:  # turned by a quarter
        width, height = height, width
    return ImageHeader(int(width), int(height), kind)


def _jpeg(data: bytes) -> tuple[Container, int, int]:
    # Imported here, since importing data_filters must stay cheap.
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except MemoryError:
        raise
    except Exception as error:  # ValueError or KeyError
        raise BrokenSample("broken_image", f"jpeg header: {error}") from error
    return walk_jpeg(data), width, height


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

INCLUSIVE_SMALL_IMAGE = Filter(
    score="shorter_side",
    measure=lambda facts: shorter_side(facts.image),
    at_least=Limit(
        key="min_side_inclusive",
        default=None,
        number=int,
        minimum=0,
        quantity="shorter side",
        unit="px",
        description="pixels; a pair is dropped when width or height is below this (COYO-700M and DataComp: 200; "
        "min_side is the same with `above`); null: not judged",
    ),
)


def pixels(header: ImageHeader) -> float:
    """Multiply width and height: the picture's pixels."""
    return float(header.width * header.height)


FEW_PIXELS = Filter(
    score="pixels",
    measure=lambda facts: pixels(facts.image),
    at_least=Limit(
        key="min_pixels",
        default=None,
        number=int,
        minimum=1,
        unit="px in all",
        description="width times height; a pair is dropped when below this; null: not judged",
    ),
)

MANY_PIXELS = Filter(
    score="pixels",
    measure=lambda facts: pixels(facts.image),
    at_most=Limit(
        key="max_pixels",
        default=None,
        number=int,
        minimum=1,
        maximum=MOST_PIXELS,
        unit="px in all",
        description=f"width times height; a pair is dropped when above this; null: not judged (above {MOST_PIXELS} "
        "a picture is not read at all)",
    ),
)


SMALL_FILE = Filter(
    score="encoded_bytes",
    measure=lambda facts: float(facts.image_bytes),
    at_least=Limit(
        key="min_image_bytes",
        default=None,
        number=int,
        minimum=0,
        quantity="image file",
        unit="bytes",
        description="bytes of the image's file; a pair is dropped when below this (LAION-400M and COYO-700M: 5 KB); "
        "null: not judged",
    ),
)

LARGE_FILE = Filter(
    score="encoded_bytes",
    measure=lambda facts: float(facts.image_bytes),
    at_most=Limit(
        key="max_image_bytes",
        default=None,
        number=int,
        minimum=1,
        quantity="image file",
        unit="bytes",
        description="bytes of the image's file; a pair is dropped when above this; null: not judged",
    ),
)
