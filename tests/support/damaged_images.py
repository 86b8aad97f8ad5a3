"""Small whole pictures of every format, and seeded damage to their bytes."""

from __future__ import annotations

import functools
import io
import random

import numpy as np
from PIL import Image, features

FORMATS = ("JPEG", "PNG", "APNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
EXTREMES = (
    b"\0",
    b"\xff",
    b"\x7f\xff",
    b"\xff\xff",
    b"\0\0",
    b"\x80\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff" * 4,
    b"\0" * 4,
)


def supported(format: str) -> bool:
    """Whether this Pillow reads and writes the format."""
    return bool(features.check("avif")) if format == "AVIF" else True


@functools.cache
def whole_pictures(format: str) -> tuple[bytes, ...]:
    """A few pictures of 40 × 28 px in the modes and layouts that the format has."""
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(0, 256, (7, 10, 4), dtype=np.uint8))
    rgba = small.resize((40, 28), Image.Resampling.BICUBIC)
    rgb, exif = rgba.convert("RGB"), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    more = [rgb.rotate(90 * turn) for turn in (1, 2)]
    animated = {"save_all": True, "append_images": more}
    layouts: dict[str, list[tuple[Image.Image, dict[str, object]]]] = {
        "JPEG": [
            (rgb, {"exif": exif}),
            (rgb, {"progressive": True}),
            (rgb.convert("L"), {}),
            (rgb.convert("CMYK"), {}),
            (rgb, animated | {"format": "MPO"}),
        ],
        "PNG": [
            (rgb, {}),
            (rgba, {"exif": exif}),
            (rgb.quantize(7), {"transparency": 3}),
            (rgb.convert("1"), {}),
            (Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257), {}),
        ],
        "APNG": [(rgb, animated), (rgba, animated | {"default_image": True})],
        "WEBP": [(rgb, {}), (rgba, {"exif": exif}), (rgb, {"lossless": True}), (rgb, animated)],
        "GIF": [(rgb, {}), (rgb.quantize(7), {"transparency": 3}), (rgb, animated)],
        "AVIF": [(rgb, {"speed": 10}), (rgba, {"speed": 10, "exif": exif}), (rgb, animated | {"speed": 10})],
        "TIFF": [
            (rgb, {}),
            (rgba, {"compression": "tiff_lzw"}),
            (rgb, {"compression": "jpeg"}),
            (rgb.convert("1"), {"compression": "group4"}),
            (rgb.convert("F"), {"compression": "tiff_deflate", "exif": exif}),
        ],
        "BMP": [(rgb, {}), (rgb.quantize(7), {}), (rgba, {}), (rgb.convert("1"), {})],
    }
    return tuple(_encoded(image, format, how) for image, how in layouts[format])


def damaged_picture(format: str, seed: object) -> bytes:
    """A picture with one to three damages: cut, flipped, spliced, zero-filled, with extreme fields and so on."""
    chance = random.Random(f"{format} {seed}")
    wholes = whole_pictures(format)
    data = bytearray(chance.choice(wholes))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        damage = chance.choice((_cut, _flipped, _extreme, _extreme, _zeroed, _repeated, _left_out, _spliced))
        damage(data, chance, chance.choice(wholes))
    return bytes(data)


def _encoded(image: Image.Image, format: str, how: dict[str, object]) -> bytes:
    out = io.BytesIO()
    named = {"format": "PNG" if format == "APNG" else format} | how
    image.copy().save(out, **named)  # type: ignore[arg-type]
    return out.getvalue()


def _span(data: bytearray, chance: random.Random, most: int) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, start + chance.randint(1, most))


def _cut(data: bytearray, chance: random.Random, _: bytes) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _flipped(data: bytearray, chance: random.Random, _: bytes) -> None:
    for _ in range(chance.choice((1, 1, 4, 20))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _extreme(data: bytearray, chance: random.Random, _: bytes) -> None:
    """Overwrite a field, mostly near the start, where sizes stand, by the greatest or the least number."""
    value = chance.choice(EXTREMES)
    start = chance.randrange(min(len(data), chance.choice((64, 64, 400, 1 << 20))) + 1)
    data[start : start + len(value)] = value


def _zeroed(data: bytearray, chance: random.Random, _: bytes) -> None:
    where = _span(data, chance, 64)
    data[where] = bytes(len(data[where]))


def _repeated(data: bytearray, chance: random.Random, _: bytes) -> None:
    where = _span(data, chance, 200)
    data[where] = data[where] * chance.choice((2, 3, 50))


def _left_out(data: bytearray, chance: random.Random, _: bytes) -> None:
    del data[_span(data, chance, 64)]


def _spliced(data: bytearray, chance: random.Random, other: bytes) -> None:
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other)) :]
