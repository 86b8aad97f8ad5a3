"""A file of a few kilobytes that claims 196 million pixels is quarantined by curation."""

import struct
import zlib

import pytest
from curation import bad_of, pairs_of
from raw_shards import CAPTION, pairs, picture, write_tar

from data_filters.decode import MOST_PIXELS
from pipelines.curate.scan import scan
from pipelines.shards.unit import Unit


def png_of_zeros(width: int, height: int) -> bytes:
    """A valid PNG of one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = picture()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize(
    ("name", "data", "kept"),
    [
        ("png", png_of_zeros(14000, 14000), False),
        ("jpg", jpeg_that_claims(65500, 65500), False),
        ("png", png_of_zeros(MOST_PIXELS // 9000 + 1, 9000), False),
        ("png", png_of_zeros(MOST_PIXELS // 9000, 9000), True),
    ],
)
def test_a_picture_of_too_many_pixels_is_quarantined_alone(tmp_path, name, data, kept):
    members = pairs(3) | {f"bomb.{name}": data, "bomb.txt": CAPTION}
    path = write_tar(tmp_path / "0.tar", members)
    scanned = scan(Unit("0", str(path), path.stat().st_size))
    assert len(pairs_of(scanned)) == 3 + kept
    assert [(row["key"], row["reason"]) for row in bad_of(scanned)] == (
        [] if kept else [("bomb", "too_many_pixels")]
    )
