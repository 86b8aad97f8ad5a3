"""Headers of GIF, BMP, TIFF and AVIF against Pillow, which decodes the whole image, and by hand."""

import io
import random
import struct

import pytest
from PIL import Image

from data_filters.decode import decode
from data_filters.image import ImageHeader, read_header
from data_filters.other_formats import OTHER_FORMATS
from data_filters.sample import BrokenSample


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (37, 21), **how: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **how)
    return out.getvalue()


@pytest.mark.parametrize("kind", OTHER_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (37, 21), (300, 200)])
def test_size_and_format_are_those_that_pillow_finds(kind, size):
    for mode in ("RGB", "L", "1") if kind != "avif" else ("RGB", "RGBA"):
        data = encoded(kind, mode, size)
        with Image.open(io.BytesIO(data)) as image:
            assert (
                read_header(data)
                == ImageHeader(*image.size, image.format.lower())
                == ImageHeader(*size, kind)
            )


@pytest.mark.parametrize("kind", ["tiff", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_picture_as_shown(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(kind, exif=exif)
    header = read_header(data)
    assert (header.width, header.height) == decode(data).size == ((37, 21) if orientation < 5 else (21, 37))


@pytest.mark.parametrize("kind", ["gif", "avif"])
def test_an_animation_has_the_size_of_its_first_frame(kind):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    assert read_header(out.getvalue()) == ImageHeader(40, 30, kind)


def test_headers_by_hand():
    assert read_header(b"GIF89a" + struct.pack("<HH", 7, 9) + bytes(3)) == ImageHeader(7, 9, "gif")
    core = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 7, 9, 1, 24)
    assert read_header(core) == ImageHeader(7, 9, "bmp")
    from_the_top = b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 7, -9, 1, 24) + bytes(24)
    assert read_header(from_the_top) == ImageHeader(7, 9, "bmp")
    for order, mark in (("<", b"II"), (">", b"MM")):
        entries = [(256, 3, 7), (257, 4, 9), (259, 3, 1)]
        small = mark + struct.pack(order + "HIH", 42, 8, len(entries))
        big = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(entries))
        for tag, kind, value in entries:
            number = struct.pack(order + ("HH" if kind == 3 else "I"), value, *([0] if kind == 3 else []))
            small += struct.pack(order + "HHI", tag, kind, 1) + number
            big += struct.pack(order + "HHQ", tag, kind, 1) + number + bytes(4)
        assert read_header(small) == read_header(big) == ImageHeader(7, 9, "tiff")


def test_a_rotated_avif_is_turned_by_its_own_box():
    data = encoded("avif", size=(37, 21))
    turned = bytearray(encoded("avif", exif=quarter()))
    assert b"irot" not in data
    at = turned.index(b"irot") + 4
    assert read_header(bytes(turned)) == ImageHeader(21, 37, "avif")
    turned[at] = 0
    assert read_header(bytes(turned)) == ImageHeader(37, 21, "avif")


def quarter() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a\x01\x00",
        b"GIF89a" + bytes(7),
        b"BM",
        b"BM" + bytes(60),
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*" + struct.pack(">IH", 8, 0),
        b"II+\0" + bytes(60),
        b"\0\0\0\x18ftypavif",
        encoded("avif")[:60],
    ],
)
def test_a_header_that_cannot_be_read_is_broken(data):
    with pytest.raises(BrokenSample) as raised:
        read_header(data)
    assert raised.value.reason == "broken_image"


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_damage_of_any_byte_is_a_broken_sample_and_nothing_else(kind):
    whole, generator = encoded(kind), random.Random(0)
    for _ in range(400):
        data = bytearray(whole[: generator.randrange(4, len(whole))] if generator.random() < 0.3 else whole)
        for _ in range(generator.randrange(4)):
            data[generator.randrange(12 if len(data) > 12 else 0, len(data))] = generator.randrange(256)
        try:
            header = read_header(bytes(data))
        except BrokenSample:
            continue
        assert header.width > 0
        assert header.height > 0


def test_a_bigtiff_whose_directory_lies_beyond_any_address_is_broken():
    data = b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1) + bytes(40)
    with pytest.raises(BrokenSample, match="tiff header"):
        read_header(data)


def test_a_claim_of_too_many_pixels_is_refused():
    data = b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 40_000, 40_000, 1, 24) + bytes(24)
    with pytest.raises(BrokenSample, match="too_many_pixels"):
        read_header(data)
