"""Walks of JPEG segments, PNG chunks and WebP chunks: format, orientation, whether the first picture is whole.

Nothing is decoded. A file is judged by its first picture: whatever follows it (a phone's video, the second picture of
an MPO, later frames of an APNG) may be cut.
"""

from __future__ import annotations

import functools
import re
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from data_filters.sample import BrokenSample

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# The next marker of a JPEG: within compressed data FF is followed by 00 or by a restart marker (D0 to D7), and any
# number of FF may stand before a marker.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# What may follow a scan: tables (C4, CC, DB), a number of lines or restarts (DC, DD), APPn, a comment, scan, end.
_AFTER_SCAN = frozenset({0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
MOST_SCANS = 100
"""Scans of a progressive JPEG. Encoders write about ten; each further one costs a pass over all pixels."""

_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_ORIENTATION_TAG = 0x0112
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_MOST_PROFILE = 1 << 20  # bytes of a decompressed EXIF profile in a PNG's text chunk


@dataclass(frozen=True)
class Container:
    """What the file around the pixels says.

    `orientation` is EXIF's, 1 to 8: how the stored picture must be turned to be upright. `damage` is the reason why
    the first picture is not whole, None where it is.
    """

    orientation: int
    width: int = 0
    height: int = 0
    damage: BrokenSample | None = None


def image_format(data: bytes) -> str | None:
    """Tell the format from the first bytes: jpeg, png, webp, gif, bmp, tiff or avif; None for any other."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[:2] == b"BM":
        return "bmp"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if data[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"):
        return "avif"
    return None


def walk_jpeg(data: bytes, to_end: bool = True) -> Container:
    """Walk the segments; without `to_end` a file that is not progressive is walked to its first scan only.

    Size is not read: libjpeg does that faster.
    """
    exif, xmp = b"", b""
    scans, progressive = 0, False
    damage: BrokenSample | None = BrokenSample("truncated_image", f"jpeg of {len(data)} bytes has no end")
    for marker, start, end in _segments(data):
        if marker == _EOI:
            damage = None
        elif scans and marker not in _AFTER_SCAN:
            if marker != _SOI:  # the start of another picture: the first one was cut
                damage = BrokenSample(
                    "broken_image", f"jpeg: marker {marker:02x} at byte {start} inside a scan"
                )
            break
        elif marker == _SOS:
            scans += 1
            if not (to_end or progressive):
                damage = None
                break
            if scans > MOST_SCANS:
                damage = BrokenSample("broken_image", f"jpeg: more than {MOST_SCANS} scans")
                break
        elif marker == _APP1 and not scans:
            if data.startswith(_EXIF_MARK, start):
                exif += data[start + (6 if exif else 0) : end]
            elif data.startswith(_XMP_MARK, start):
                xmp = data[start + len(_XMP_MARK) : end]
        elif marker in _PROGRESSIVE:
            progressive = True
    return Container(_orientation(exif, xmp), damage=damage)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment after the first SOI, ending with EOI or where the file is cut."""
    at, total, last = 2, len(data), len(data) - 4
    while True:
        marker = data[at + 1] if at <= last and data[at] == 0xFF else 0
        if not (0xDA <= marker < 0xFF or 0xC0 <= marker < 0xD0):
            # In most files only behind a scan, and at the end.
            found = _MARKER.search(data, at)
            if not found:
                return
            at = found.start()
            marker = data[at + 1]
            if marker in (_EOI, _SOI):
                yield marker, at + 2, at + 2
                return
            if marker == _TEM:
                at += 2
                continue
            if at > last:
                return
        end = at + 2 + (data[at + 2] << 8) + data[at + 3]
        if end > total or end < at + 4:
            return
        yield marker, at + 4, end
        at = end


def walk_png(data: bytes) -> Container:
    """Walk the chunks to IEND, or to the second frame of an APNG.

    Raises BrokenSample when the first chunk is no IHDR.
    """
    if data[8:16] != b"\0\0\0\rIHDR" or int.from_bytes(data[29:33], "big") != zlib.crc32(data[12:29]):
        raise BrokenSample("broken_image" if len(data) >= 33 else "truncated_image", "png has no valid IHDR")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    exif, xmp = b"", b""
    pixels, animated = False, False
    damage: BrokenSample | None = BrokenSample("truncated_image", f"png of {len(data)} bytes has no end")
    at = 33
    while len(data) >= at + 8:
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IEND" or (kind == b"fcTL" and animated and pixels):
            damage = (
                None if pixels else BrokenSample("broken_image", "png has no pixels: no IDAT before IEND")
            )
            break
        if not kind.isalpha():
            damage = BrokenSample("broken_image", f"png: {kind.hex()} at byte {at + 4} is no chunk's name")
            break
        start, at = at + 8, at + 12 + length
        if at > len(data):
            break
        if kind == b"IDAT":
            pixels = True
        elif kind == b"acTL":
            animated = data[start : start + 4] > b"\0\0\0\1"  # as Pillow: one frame is no animation
        elif kind == b"eXIf":
            exif = data[start : start + length]
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            exif, xmp = _png_text(kind, data[start : start + length], exif, xmp)
    return Container(_orientation(exif, xmp), width, height, damage)


def _png_text(kind: bytes, text: bytes, exif: bytes, xmp: bytes) -> tuple[bytes, bytes]:
    """EXIF and XMP after a text chunk, where ImageMagick and Adobe write them."""
    if text.startswith(b"XML:com.adobe.xmp\0"):
        return exif, text
    if not exif and text.startswith(b"Raw profile type exif\0"):
        try:
            body = text[22:]
            if kind == b"zTXt":
                body = zlib.decompressobj().decompress(body[1:], _MOST_PROFILE)
            return bytes.fromhex("".join(body.decode("latin-1").split("\n")[3:])), xmp
        except (ValueError, zlib.error):
            pass  # a profile that cannot be read turns nothing
    return exif, xmp


def walk_webp(data: bytes) -> Container:
    """Walk the chunks of the RIFF file. Raises BrokenSample when no chunk gives the picture's size."""
    total = 8 + int.from_bytes(data[4:8], "little")
    size: tuple[int, int] | None = None
    pixels, exif, xmp = False, b"", b""
    at = 12
    while at + 8 <= min(total, len(data)):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + min(length, 10)]
        if kind in (b"VP8 ", b"VP8L", b"VP8X") and size is None:
            size = _webp_size(kind, body)
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            pixels = True
        elif kind == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
        elif kind == b"XMP ":
            xmp = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    if len(data) < total:
        damage: BrokenSample | None = BrokenSample("truncated_image", f"webp of {len(data)} bytes has no end")
    else:
        damage = None if pixels else BrokenSample("broken_image", "webp has no pixels")
    if size is None:
        raise damage or BrokenSample("broken_image", "webp has no size")
    return Container(_orientation(exif, xmp), *size, damage)


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    """(width, height) in px from the first bytes of a chunk, see RFC 9649."""
    if kind == b"VP8X" and len(body) == 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) == 10:
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None


@functools.cache
def silence_pillow() -> None:
    """Ignore Pillow's warnings of large and of damaged pictures in this process: `decode.MOST_PIXELS` governs.

    Once for the process, since `warnings.catch_warnings` is not safe in threads.
    """
    from PIL import Image

    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def _orientation(exif: bytes, xmp: bytes) -> int:
    """EXIF's orientation, else XMP's; 1 where neither can be read, as viewers do."""
    if b"\x01\x12" in exif or b"\x12\x01" in exif:  # the tag in either byte order: most pictures have none
        # Imported here, since importing data_filters must stay cheap.
        from PIL import Image

        silence_pillow()
        tags = Image.Exif()
        try:
            tags.load(exif)
            value = tags.get(_ORIENTATION_TAG)
        except MemoryError:
            raise
        except Exception:  # damaged EXIF raises many types
            value = None
        if value is not None:
            return int(value) if value in range(2, 9) else 1
    found = _XMP_ORIENTATION.search(xmp) if xmp else None
    value = int(found[1]) if found else 1
    return value if 1 <= value <= 8 else 1
