"""Copies of a picture stay near it, others do not; the thumbnail against Pillow's own resizing."""

import io

import numpy as np
import pytest
from PIL import Image

from data_filters import pdq
from data_filters.perceptual_hash import hash_orientations, hash_thumbnails, read_thumbnail, thumbnail
from data_filters.sample import BrokenSample


def scene(seed: int, width: int = 640, height: int = 480) -> Image.Image:
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (18, 22, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def hash_of(data: bytes) -> np.ndarray:
    return hash_thumbnails(read_thumbnail(data)[None])[0][0]


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


COPIES = {
    "lower quality": lambda image: encoded(image, quality=35),
    "half the size": lambda image: encoded(image.resize((320, 240), Image.Resampling.BICUBIC)),
    "a fifth of the size": lambda image: encoded(image.resize((128, 96), Image.Resampling.BOX)),
    "twice the size": lambda image: encoded(image.resize((1280, 960), Image.Resampling.LANCZOS)),
    "PNG": lambda image: encoded(image, "PNG"),
    "WebP": lambda image: encoded(image, "WEBP", quality=60),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_near(copy):
    distances = [
        bits(hash_of(encoded(scene(n), quality=90)), hash_of(COPIES[copy](scene(n)))) for n in range(5)
    ]
    assert max(distances) <= 12


def test_another_picture_is_far():
    hashes = [hash_of(encoded(scene(seed))) for seed in range(10)]
    assert min(bits(a, b) for n, a in enumerate(hashes) for b in hashes[:n]) > 60


def test_scaled_and_full_decode_agree():
    image = scene(3, 2048, 1536)
    full = thumbnail(image)
    scaled = read_thumbnail(encoded(image, quality=95))
    assert np.abs(full - scaled).mean() < 2


def test_thumbnail_is_the_luma_of_a_lanczos_reduction():
    image = scene(1, 90, 80)  # too small to be averaged first
    pixels = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS), np.float64)
    assert (
        np.abs(thumbnail(image) - pixels @ [0.299, 0.587, 0.114]).mean() < 1
    )  # each was rounded, and cut at 255


def test_turned_copies_are_found_by_their_one_hash():
    image = scene(5, 400, 400)
    eight = hash_orientations(thumbnail(image)[None])[0][0]
    turn = Image.Transpose
    quarters = [None, turn.ROTATE_90, turn.ROTATE_180, turn.ROTATE_270]
    mirrored = [turn.FLIP_TOP_BOTTOM, turn.FLIP_LEFT_RIGHT, turn.TRANSPOSE, turn.TRANSVERSE]
    for place, how in enumerate([*quarters, *mirrored]):
        copy = hash_of(encoded(image if how is None else image.transpose(how), quality=70))
        distances = [bits(copy, each) for each in eight]
        assert distances[place] == min(distances) <= 12
        assert sorted(distances)[1] > 31, pdq.ORIENTATIONS[place]


def test_exif_orientation_is_that_of_the_shown_picture():
    image = scene(6)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    assert bits(hash_of(turned), hash_of(encoded(image))) <= 4


def test_quality_tells_a_scene_from_an_empty_picture():
    grids = np.stack([thumbnail(scene(0)), thumbnail(Image.new("RGB", (300, 200), "blue"))])
    assert hash_thumbnails(grids)[1].tolist()[0] >= 50
    assert hash_orientations(grids)[1].tolist()[1] == 0


def test_what_does_not_decode_is_a_broken_sample():
    with pytest.raises(BrokenSample, match="unknown_image_format"):
        read_thumbnail(b"no picture")
