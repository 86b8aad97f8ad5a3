"""Decoding against Pillow's own exif_transpose, and compositing by hand in numpy."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from data_filters.decode import MOST_PIXELS, decode, upright
from data_filters.image import read_header
from data_filters.sample import BrokenSample

GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.integers(0, 256, (20, 30, 4), dtype=np.uint8)
RGB = Image.fromarray(NOISE[..., :3])
RGBA = Image.fromarray(NOISE)


def encoded(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def turned(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    part = alpha[..., None] / 255
    return np.rint(colour * part + 255 * (1 - part)).astype(np.uint8)


def difference(image: Image.Image, expected: np.ndarray) -> int:
    assert image.mode == "RGB"
    return int(np.abs(np.asarray(image).astype(int) - expected).max())


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {}),
    ],
)
def test_orientation_is_pillows(value, kind, how):
    data = encoded(RGB, kind, exif=turned(value), **how)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    image = decode(data)
    assert image.size == expected.size == ((20, 30) if value in range(5, 9) else (30, 20))
    assert difference(image, np.asarray(expected).astype(int)) <= (2 if kind == "JPEG" else 0)
    assert difference(upright(Image.open(io.BytesIO(data))), np.asarray(expected).astype(int)) == 0
    if kind in ("JPEG", "PNG", "WEBP"):
        assert (read_header(data).width, read_header(data).height) == image.size


def test_orientation_in_xmp_and_in_a_text_chunk_is_pillows():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    from PIL.PngImagePlugin import PngInfo

    for compressed in (False, True):
        raw = PngInfo()
        profile = turned(6)
        raw.add_text("Raw profile type exif", f"\nexif\n{len(profile):8}\n{profile.hex()}\n", zip=compressed)
        png = encoded(RGB, "PNG", pnginfo=raw)
        assert ImageOps.exif_transpose(Image.open(io.BytesIO(png))).size == (20, 30)
        assert decode(png).size == (read_header(png).width, read_header(png).height) == (20, 30)
    for kind in ("JPEG", "WEBP"):
        data = encoded(RGB, kind, xmp=xmp)
        assert ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size == (20, 30)
        assert decode(data).size == (read_header(data).width, read_header(data).height) == (20, 30)


def test_damaged_exif_turns_nothing():
    data = encoded(RGB, "JPEG", exif=turned(6)[:-6] + b"\xff" * 6)
    broken = encoded(RGB, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f\x12\x01\x03\0")
    assert decode(broken).size == (30, 20)
    assert decode(data).size == (read_header(data).width, read_header(data).height)


def test_rgb_pixels_are_those_of_the_libraries():
    big = Image.fromarray(GENERATOR.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((800, 600))
    for how in ({}, {"progressive": True}, {"quality": 30, "subsampling": 2}):
        data = encoded(big, "JPEG", **how)
        assert (np.asarray(decode(data)) == simplejpeg.decode_jpeg(data, "RGB")).all()
    png = encoded(big)
    assert (np.asarray(decode(png)) == np.asarray(big)).all()
    assert (np.asarray(decode(encoded(big, "WEBP", lossless=True))) == np.asarray(big)).all()


def test_a_large_jpeg_is_decoded_small_but_never_too_small():
    for value, size in ((1, (200, 150)), (6, (150, 200))):
        data = encoded(Image.new("RGB", (800, 600)), "JPEG", exif=turned(value))
        assert decode(data, at_least=150).size == size
        assert min(decode(data, at_least=151).size) >= 151


def test_alpha_is_on_white_as_by_hand():
    colour, alpha = NOISE[..., :3], NOISE[..., 3]
    expected = on_white(colour, alpha)
    assert difference(decode(encoded(RGBA)), expected) <= 1
    assert difference(decode(encoded(RGBA, "WEBP", lossless=True, exact=True)), expected) <= 1
    assert difference(decode(encoded(RGBA, "TIFF")), expected) <= 1
    grey = RGBA.convert("LA")
    values = np.asarray(grey)
    assert difference(decode(encoded(grey)), on_white(values[..., :1].repeat(3, 2), values[..., 1])) <= 1
    premultiplied = np.asarray(RGBA.convert("RGBa")).astype(int)
    expected = premultiplied[..., :3] + 255 - premultiplied[..., 3:]
    assert difference(upright(RGBA.convert("RGBa")), expected) <= 1
    assert difference(upright(grey.convert("La")), np.asarray(upright(grey)).astype(int)) <= 1
    opaque = Image.fromarray(np.dstack([colour, np.full_like(alpha, 255)]))
    assert difference(decode(encoded(opaque)), colour.astype(int)) == 0


def test_transparent_palettes_and_colours_are_white():
    palette = Image.fromarray(GENERATOR.integers(0, 4, (20, 30), dtype=np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0])
    where = np.asarray(palette)
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [0, 0, 0]])
    one = colours.copy()
    one[3] = 255
    for kind in ("PNG", "GIF"):
        assert difference(decode(encoded(palette, kind, transparency=3)), one[where]) == 0, kind
    several = on_white(colours, np.array([0, 128, 255, 255]))
    data = encoded(palette, transparency=bytes([0, 128, 255]))
    assert difference(decode(data), several[where].astype(int)) <= 1
    key = encoded(RGB, transparency=tuple(int(v) for v in NOISE[3, 4, :3]))
    expected = NOISE[..., :3].astype(int)
    expected[3, 4] = 255
    assert difference(decode(key), expected) == 0
    grey = Image.fromarray(NOISE[..., 0])
    expected = NOISE[..., :1].repeat(3, 2).astype(int)
    expected[expected == 77] = 255
    assert difference(decode(encoded(grey, transparency=77)), expected) == 0


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *before: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, from rows with their filter bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_sixteen_bits_are_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    expected = np.rint(ramp / 257).astype(int)[..., None].repeat(3, 2)
    for image in (
        Image.fromarray(ramp),
        Image.fromarray(ramp.astype(np.int32)),
        Image.fromarray(ramp.astype(">u2")),
    ):
        assert difference(upright(image), expected) == 0, image.mode
    for kind in ("PNG", "TIFF"):
        assert difference(decode(encoded(Image.fromarray(ramp), kind)), expected) == 0
    key = int(ramp[5, 5])
    expected[ramp == key] = 255
    assert difference(decode(encoded(Image.fromarray(ramp), transparency=key)), expected) == 0


def test_the_transparent_colour_of_a_sixteen_bit_png_is_white():
    colours = [[1000, 2000, 60000], [40000, 50000, 3000]]
    row = b"\0" + struct.pack(">6H", *colours[0], *colours[1])
    data = png(2, 1, 16, 2, row, (b"tRNS", struct.pack(">3H", *colours[0])))
    assert np.asarray(decode(data)).tolist() == [[[255] * 3, [value >> 8 for value in colours[1]]]]


def test_real_numbers_and_wide_integers_are_brought_to_eight_bits():
    ramp = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    expected = np.rint(ramp * 255).astype(int)[..., None].repeat(3, 2)
    assert difference(upright(Image.fromarray(ramp)), expected) <= 1
    wide = ramp.astype(np.float64)
    for values in (
        (wide * 6e38 - 3e38).astype(np.float32),
        (wide * 4e9 - 2e9).astype(np.int32),
        ramp * 200 - 100,
    ):
        assert difference(upright(Image.fromarray(values)), expected) <= 1
    assert difference(decode(encoded(Image.fromarray(ramp * 500), "TIFF")), expected) <= 1
    odd = ramp.copy()
    odd[0, :3] = [np.nan, np.inf, -np.inf]
    assert np.asarray(upright(Image.fromarray(odd)))[0, :3].max() == 0
    for constant in (np.full((2, 2), -5, np.float32), np.zeros((2, 2), np.float32)):
        assert np.asarray(upright(Image.fromarray(constant))).max() == 0


def test_cmyk_one_bit_and_others_are_pillows_conversion():
    cmyk = Image.fromarray(NOISE, "CMYK").resize((64, 48))
    for kind in ("JPEG", "TIFF"):
        data = encoded(cmyk, kind)
        values = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        expected = np.rint((255 - values[..., :3]) * (255 - values[..., 3:]) / 255).astype(int)
        assert difference(decode(data), expected) <= 2
    bits = RGB.convert("1")
    assert difference(decode(encoded(bits)), np.asarray(bits)[..., None].repeat(3, 2) * 255) == 0
    for mode in ("L", "YCbCr", "HSV", "LAB"):
        image = Image.new(mode, (4, 3))
        assert difference(upright(image), np.asarray(image.convert("RGB")).astype(int)) == 0


def test_animations_give_their_first_frame():
    for kind, how in (
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("MPO", {}),
        ("TIFF", {}),
        ("AVIF", {}),
    ):
        frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **how)
        assert np.abs(np.asarray(decode(data)).astype(int) - [255, 0, 0]).max() <= 3, kind


def bomb(kind: str) -> bytes:
    """A few bytes that claim MOST_PIXELS and more."""
    side = 9460
    assert side * side > MOST_PIXELS > (side - 1) ** 2
    if kind == "png":
        return png(side, side, 1, 0, bytes((1 + side // 8 + 1) * side))
    small = encoded(RGB, kind)
    if kind == "jpeg":
        at = small.index(b"\xff\xc0") + 5
        return small[:at] + struct.pack(">HH", side, side) + small[at + 4 :]
    if kind == "gif":
        at = small.index(b"\x2c") + 5
        return (
            small[:6]
            + struct.pack("<HH", side, side)
            + small[10:at]
            + struct.pack("<HH", side, side)
            + small[at + 4 :]
        )
    if kind == "bmp":
        return small[:18] + struct.pack("<ii", side, side) + small[26:]
    if kind == "webp":
        at = small.index(b"\x9d\x01\x2a") + 3
        return small[:at] + struct.pack("<HH", side, side) + small[at + 4 :]
    large = Image.new("1", (side, side))
    return encoded(large, kind, compression="group4")


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp"])
def test_too_many_pixels_are_refused_before_a_pixel_is_decoded(kind):
    data = bomb(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BrokenSample, match="too_many_pixels"):
            decode(data)
    if kind in ("png", "jpeg", "webp"):
        with pytest.raises(BrokenSample, match="too_many_pixels"):
            read_header(data)


def test_a_scan_bomb_is_refused():
    data = encoded(RGB, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(BrokenSample, match="scans"):
        decode(data[:-2] + data[last:-2] * 200 + data[-2:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unknown_image_format"),
        (b"<svg/>", "unknown_image_format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unknown_image_format"),
        (b"GIF", "unknown_image_format"),
        (b"\xff\xd8\xff", "truncated_image"),
        (b"\x89PNG\r\n\x1a\n", "truncated_image"),
        (encoded(RGB)[:-200], "truncated_image"),
        (encoded(RGB, "JPEG")[:-200], "truncated_image"),
        (encoded(RGB, "JPEG", progressive=True)[:-200], "truncated_image"),
        (encoded(RGB, "WEBP")[:-50], "broken_image"),
        (encoded(RGB).replace(b"IDAT", b"\0\1\2\3"), "broken_image"),
        (encoded(RGB, "AVIF")[:-50], None),
    ],
)
def test_no_picture_is_a_broken_sample(data, reason):
    with pytest.raises(BrokenSample) as raised:
        decode(data)
    assert reason in (None, raised.value.reason)
    assert "\n" not in str(raised.value)
    assert " object at 0x" not in str(raised.value)


def test_memory_that_runs_out_is_no_broken_sample(monkeypatch):
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    with pytest.raises(MemoryError):
        decode(encoded(RGB))


def test_the_image_given_stays_as_it_was():
    image = RGBA.copy()
    image.getexif()[0x0112] = 6
    before = image.tobytes()
    assert upright(image).size == (20, 30)
    assert (image.size, image.mode, image.tobytes(), image.getexif()[0x0112]) == ((30, 20), "RGBA", before, 6)
