"""Headers of GIF, BMP, TIFF and AVIF: size and orientation, told from the bytes. Nothing is decoded.

These formats are readable pictures that a rule may refuse; whether one is whole is not seen before it is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from data_filters.containers import Container
from data_filters.sample import BrokenSample

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274  # tags of TIFF 6.0, section 8, and of EXIF
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, and BigTIFF's LONG8
_MOST_TAGS = 4096  # a directory of a picture has some twenty
_MOST_BOXES = 4096  # boxes or items of an AVIF that are looked at: more are no picture of the web
_Box = tuple[bytes, int, int]


def gif_header(data: bytes) -> Container:
    """Read the size of the logical screen, which is that of the first frame as shown (GIF89a, section 18)."""
    _need(data, 10, "gif")
    width, height = struct.unpack_from("<HH", data, 6)
    return Container(1, width, height)


def bmp_header(data: bytes) -> Container:
    """Read the size from BITMAPCOREHEADER (12 bytes) or BITMAPINFOHEADER and later ones; a negative height is a
    picture that is stored from the top.
    """
    _need(data, 26, "bmp")
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return Container(1, width, abs(height))


def tiff_header(data: bytes) -> Container:
    """Read size and orientation from the first directory of a TIFF or BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        start = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
        at, step = start + (8 if big else 2), 20 if big else 12
        values: dict[int, int] = {}
        for entry in range(at, at + step * min(count, _MOST_TAGS), step):
            tag, kind = struct.unpack_from(order + "HH", data, entry)
            if tag in (_WIDTH, _HEIGHT, _ORIENTATION) and kind in _TIFF_TYPES:
                values[tag] = struct.unpack_from(order + _TIFF_TYPES[kind], data, entry + (12 if big else 8))[
                    0
                ]
    except (struct.error, OverflowError) as error:  # BigTIFF's offsets may lie beyond any address
        raise BrokenSample("broken_image", f"tiff header: {error}") from error
    orientation = values.get(_ORIENTATION, 1)
    return Container(
        orientation if orientation in range(1, 9) else 1, values.get(_WIDTH, 0), values.get(_HEIGHT, 0)
    )


def avif_header(data: bytes) -> Container:
    """Read size (`ispe`) and quarter turns (`irot`) of the primary item (ISO/IEC 23008-12, sections 6.5.3 and 6.5.10);
    of a sequence without one, of the largest `ispe`.
    """
    try:
        meta = _find(data, 0, len(data), b"meta")
        parts = {kind: (start, end) for kind, start, end in _boxes(data, meta[0] + 4, meta[1])}
        properties = {kind: (start, end) for kind, start, end in _boxes(data, *parts[b"iprp"])}
        known = list(_boxes(data, *properties[b"ipco"]))
        own = _properties_of_primary(data, parts.get(b"pitm"), properties.get(b"ipma"))
        chosen = [known[index - 1] for index in own if 0 < index <= len(known)] or known
        sizes = [struct.unpack_from(">II", data, at + 4) for kind, at, _ in chosen if kind == b"ispe"]
        turns = sum(data[at] & 3 for kind, at, _ in chosen if kind == b"irot") if own else 0
        width, height = max(sizes)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise BrokenSample("broken_image", f"avif header: {type(error).__name__}: {error}") from error
    return Container(6 if turns % 2 else 1, width, height)


def _properties_of_primary(
    data: bytes, pitm: tuple[int, int] | None, ipma: tuple[int, int] | None
) -> list[int]:
    """The numbers, from 1, of the properties of the primary item; none where the file names none."""
    if pitm is None or ipma is None:
        return []
    primary = struct.unpack_from(">H" if data[pitm[0]] == 0 else ">I", data, pitm[0] + 4)[0]
    version, wide = data[ipma[0]], data[ipma[0] + 3] & 1
    count = struct.unpack_from(">I", data, ipma[0] + 4)[0]
    at = ipma[0] + 8
    for _ in range(min(count, _MOST_BOXES)):
        item = struct.unpack_from(">I" if version else ">H", data, at)[0]
        at += 4 if version else 2
        number = data[at]
        at += 1
        if item == primary:
            form, mask = (f">{number}H", 0x7FFF) if wide else (f">{number}B", 0x7F)
            return [value & mask for value in struct.unpack_from(form, data, at)]
        at += number * (2 if wide else 1)
    return []


def _find(data: bytes, at: int, end: int, wanted: bytes) -> tuple[int, int]:
    for kind, start, stop in _boxes(data, at, end):
        if kind == wanted:
            return start, stop
    raise KeyError(f"no box {wanted.decode()}")


def _boxes(data: bytes, at: int, end: int) -> Iterator[_Box]:
    """Yield (kind, start, end) of the content of each box (ISO/IEC 14496-12, section 4.2) of data[at:end]."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size = struct.unpack_from(">Q", data, start)[0]
            start += 8
        stop = end if size == 0 else at + size
        if stop < start or stop > end:
            stop = end  # cut, or a lie: whatever is read from it is read within the file
        yield kind, start, stop
        at = stop


def _need(data: bytes, length: int, kind: str) -> None:
    if len(data) < length:
        raise BrokenSample("broken_image", f"{kind} header: {len(data)} bytes")


OTHER_FORMATS: dict[str, Callable[[bytes], Container]] = {
    "gif": gif_header,
    "bmp": bmp_header,
    "tiff": tiff_header,
    "avif": avif_header,
}
"""Format → what reads its header. Each raises BrokenSample `broken_image` on a header that cannot be read."""
