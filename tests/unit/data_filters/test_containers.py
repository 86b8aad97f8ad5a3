"""Walks of segments and chunks against files that Pillow wrote, and by hand."""

import io
import random

import pytest
from PIL import Image

from data_filters.containers import MOST_SCANS, image_format, walk_jpeg, walk_png, walk_webp
from data_filters.sample import BrokenSample


def encoded(kind: str, mode: str = "RGB", **how: object) -> bytes:
    out = io.BytesIO()
    noise = random.Random(0).randbytes(50 * 40 * len(Image.new(mode, (1, 1)).getbands()))
    Image.frombytes(mode, (50, 40), noise).save(out, kind, **how)
    return out.getvalue()


def test_formats_are_told_by_their_first_bytes():
    for kind in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"):
        assert image_format(encoded(kind)) == kind
    for other in (b"", b"RIFF\0\0\0\0WAVE", b"%!PS-Adobe", b"<svg/>", b"\0\0\0\x18ftypmp42"):
        assert image_format(other) is None


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"optimize": True}])
def test_every_cut_of_a_jpeg_is_seen_and_no_whole_one_is_called_cut(how):
    data = encoded("JPEG", **how)
    assert walk_jpeg(data).damage is None
    assert walk_jpeg(data + b"\xff\xd8\xff\xda").damage is None
    for cut in range(3, len(data) - 1, 7):
        assert walk_jpeg(data[:cut]).damage.reason == "truncated_image", cut


def test_a_walk_to_the_first_scan_reads_the_orientation_and_not_the_end():
    exif = Image.Exif()
    exif[0x0112] = 7
    data = encoded("JPEG", exif=exif.tobytes())
    cut = walk_jpeg(data[:-100], to_end=False)
    assert (cut.orientation, cut.damage) == (7, None)
    assert walk_jpeg(data[:-100]).damage.reason == "truncated_image"
    assert walk_jpeg(data[:30], to_end=False).damage.reason == "truncated_image"


def test_scans_are_counted():
    data = encoded("JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    scans = data.count(b"\xff\xda")
    assert walk_jpeg(data[:-2] + last * (MOST_SCANS - scans) + data[-2:]).damage is None
    assert walk_jpeg(data[:-2] + last * (MOST_SCANS - scans + 1) + data[-2:]).damage.reason == "broken_image"


def test_fill_bytes_and_bytes_between_segments_are_passed_over():
    data = encoded("JPEG")
    for between in (b"\xff\xff\xff", b"\0\0", b"\xff\x01"):
        assert walk_jpeg(data[:2] + between + data[2:]).damage is None


def test_every_cut_of_a_png_is_seen():
    data = encoded("PNG")
    assert (walk_png(data).width, walk_png(data).height, walk_png(data).damage) == (50, 40, None)
    for cut in range(8, len(data) - 12, 7):
        try:
            damage = walk_png(data[:cut]).damage
        except BrokenSample as broken:
            damage = broken
        assert damage.reason == "truncated_image", cut


@pytest.mark.parametrize(
    ("mode", "how"),
    [("RGB", {}), ("RGB", {"lossless": True}), ("RGBA", {}), ("RGB", {"exif": b"Exif\0\0II*\0"})],
)
def test_webp_sizes_and_ends(mode, how):
    data = encoded("WEBP", mode, **how)
    container = walk_webp(data)
    assert (container.width, container.height, container.damage) == (50, 40, None)
    assert walk_webp(data[:-10]).damage.reason == "truncated_image"
    for empty in (data[:12], b"RIFF\x04\0\0\0WEBP"):
        with pytest.raises(BrokenSample):
            walk_webp(empty)
