"""Squares of photographs: which are drawn, and their pixels in pictures known by hand."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from raw_shards import picture

from pipelines.icon_world.backdrop import Backdrop, draw_backdrop, paint_backdrop
from pipelines.icon_world.photographs import Photograph, Photographs, find_photographs

SIDE = 32
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)


def found_in(folder: Path, count: int) -> Photographs:
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(12, 10, seed=number, format="PNG"))
    return find_photographs(str(folder), SIDE, ())


def photograph(folder: Path, image: Image.Image) -> Photograph:
    """The place of a lossless file of this image alone."""
    image.save(folder / "only.png")
    found = find_photographs(str(folder), SIDE, ())
    return found.photograph(next(split for split, count in found.counts.items() if count), 0)


def quarters(side: int) -> Image.Image:
    """Red, green; blue, grey."""
    pixels = np.empty((side, side, 3), np.uint8)
    half = side // 2
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = (
        RED,
        GREEN,
        BLUE,
        GREY,
    )
    return Image.fromarray(pixels)


def test_every_photograph_of_the_split_is_drawn_with_squares_of_half_the_side_and_more(
    tmp_path: Path,
) -> None:
    found = found_in(tmp_path, 80)
    for split in ("train", "test"):
        drawn = [draw_backdrop(np.random.default_rng(seed), found, split) for seed in range(1500)]
        own = {found.photograph(split, number) for number in range(found.counts[split])}
        assert {backdrop.photograph for backdrop in drawn} == own
        for numbers, least in (("share", 0.5), ("across", 0.0), ("down", 0.0)):
            values = np.array([getattr(backdrop, numbers) for backdrop in drawn])
            assert least <= values.min() < least + 0.01
            assert 0.99 < values.max() < 1
            assert values.mean() == pytest.approx((least + 1) / 2, abs=0.03)
        assert drawn == [draw_backdrop(np.random.default_rng(seed), found, split) for seed in range(1500)]


@pytest.mark.parametrize("side", [40, 100, 2000])
def test_squares_of_half_the_side_are_the_quarters(tmp_path: Path, side: int) -> None:
    place = photograph(tmp_path, quarters(side))
    ends = {(0.0, 0.0): RED, (0.9999, 0.0): GREEN, (0.0, 0.9999): BLUE, (0.9999, 0.9999): GREY}
    for (across, down), color in ends.items():
        pixels = paint_backdrop(Backdrop(place, 0.5, across, down), SIDE)
        assert pixels.shape == (SIDE, SIDE, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == color).all()
    middle = paint_backdrop(Backdrop(place, 0.5, 0.5, 0.5), SIDE)
    whole = paint_backdrop(Backdrop(place, 1.0, 0.3, 0.7), SIDE)
    for pixels in (middle, whole):
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
        assert np.abs(corners - [RED, GREEN, BLUE, GREY]).max() <= 12


def test_a_wide_photograph_is_cut_to_a_square_without_stretching(tmp_path: Path) -> None:
    """A disk stays as wide as high, and lies where the place of the square says."""
    pixels = np.zeros((60, 240, 3), np.uint8)
    rows, columns = np.mgrid[:60, :240]
    pixels[(rows - 30) ** 2 + (columns - 210) ** 2 < 20**2] = 255
    place = photograph(tmp_path, Image.fromarray(pixels))
    right = paint_backdrop(Backdrop(place, 1.0, 0.9999, 0.0), 60)[:, :, 0] > 127
    assert np.flatnonzero(right.any(axis=0))[[0, -1]].tolist() == [11, 49]
    assert np.flatnonzero(right.any(axis=1))[[0, -1]].tolist() == [11, 49]
    assert not paint_backdrop(Backdrop(place, 1.0, 0.0, 0.0), 60).any()


def test_the_pixels_painted_are_a_copy(tmp_path: Path) -> None:
    backdrop = Backdrop(photograph(tmp_path, quarters(40)), 0.5, 0.0, 0.0)
    paint_backdrop(backdrop, SIDE)[...] = 0
    assert (paint_backdrop(replace(backdrop), SIDE) == RED).all()


def test_photographs_of_a_real_shard_are_what_pillow_crops(shared_data: Path) -> None:
    """Decoded whole and cut by Pillow alone. Means of 8 x 8 pixels are compared, since a reduced decoding and places
    of whole pixels change fine grain.
    """
    shard = shared_data / "coco" / "00000.tar"
    if not shard.exists():
        pytest.skip(f"no shard of COCO at {shard}")
    found = find_photographs(str(shard.parent), 112, ("train", "test", "unseen"))
    pixels, expected = [], []
    for seed in range(12):
        backdrop = draw_backdrop(np.random.default_rng(seed), found, ("train", "test", "unseen")[seed % 3])
        with open(backdrop.photograph.uri, "rb") as file:
            file.seek(backdrop.photograph.offset)
            image = Image.open(io.BytesIO(file.read(backdrop.photograph.length))).convert("RGB")
        crop = backdrop.share * min(image.size)
        left, top = backdrop.across * (image.width - crop), backdrop.down * (image.height - crop)
        box = (left, top, left + crop, top + crop)
        expected.append(np.asarray(image.resize((112, 112), Image.Resampling.LANCZOS, box=box)))
        pixels.append(paint_backdrop(backdrop, 112))
    means = [np.reshape(some, (12, 14, 8, 14, 8, 3)).mean(axis=(2, 4)) for some in (pixels, expected)]
    away = np.abs(means[0][:, None] - means[1][None]).mean(
        axis=(2, 3, 4)
    )  # of every painted one from every expected
    assert np.diag(away).max() < 4
    assert away[~np.eye(12, dtype=bool)].min() > 20
