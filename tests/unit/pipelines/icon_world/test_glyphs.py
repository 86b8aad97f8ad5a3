"""Glyph masks: against the outlines that fontTools reads from the font, and by hand."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from pipelines.icon_world import NAMES, glyphs, render_world
from pipelines.icon_world.glyphs import glyph_mask, require_font
from pipelines.icon_world.vocabulary import ICONS


@pytest.mark.parametrize(("side", "cut"), [(12, 0), (33, 0), (100, 0), (345, 2)])
def test_masks_have_the_side_asked_for_and_no_empty_border(side: int, cut: int) -> None:
    """Of large masks, faint rows and columns at the border are cut off: at most two pixels of the longer side."""
    for name in NAMES:
        mask = glyph_mask(name, side)
        assert mask.dtype == np.uint8
        assert side - cut <= max(mask.shape) <= side, name
        border = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
        assert min(int(line.max()) for line in border) >= 48, name


def test_proportions_are_those_of_the_outline_in_the_font() -> None:
    """The bounding box of the outline, found in the font by the icon's name, not by its code point."""
    fonts = pytest.importorskip("fontTools.ttLib")
    pens = pytest.importorskip("fontTools.pens.boundsPen")
    outlines = fonts.TTFont(io.BytesIO(glyphs._asset("webfonts", "fa-solid-900.ttf"))).getGlyphSet()
    for name, icon in ICONS.items():
        pen = pens.BoundsPen(outlines)
        outlines[icon].draw(pen)
        left, bottom, right, top = pen.bounds
        scale = 128 / max(right - left, top - bottom)
        wanted = ((top - bottom) * scale, (right - left) * scale)
        assert np.abs(np.subtract(glyph_mask(name, 128).shape, wanted)).max() <= 1, name


def test_symmetric_icons_are_symmetric_and_upright() -> None:
    for name in ("heart", "target", "envelope", "crown"):
        mask = glyph_mask(name, 100).astype(int)
        assert np.abs(mask - mask[:, ::-1]).mean() < 1, name
    heart = glyph_mask("heart", 100).astype(int)
    third = len(heart) // 3
    assert heart[:third].sum() > 1.5 * heart[-third:].sum()  # the point is below
    moon = glyph_mask("moon", 100).astype(int)
    assert np.abs(moon - moon[:, ::-1]).mean() > 50


def test_a_mask_of_twice_the_side_covers_four_times_the_area() -> None:
    for name in NAMES[::6]:
        small, large = (glyph_mask(name, side).sum(dtype=int) for side in (60, 120))
        assert large / small == pytest.approx(4, rel=0.04), name


def test_each_pixel_is_the_mean_of_the_area_that_it_covers() -> None:
    """The target is drawn with 512 pixels of width and height, so that a pixel of 64 covers 8 x 8 of them."""
    drawing = glyph_mask("target", 512)
    blocks = drawing.reshape(64, 8, 64, 8).mean(axis=(1, 3))
    assert np.abs(glyph_mask("target", 64) - blocks).max() <= 1  # rounded once per axis


def test_a_mask_cannot_be_painted_over() -> None:
    """All scenes share the masks, so that writing into one is refused."""
    mask = glyph_mask("cat", 30)
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = 1
    assert glyph_mask("cat", 30) is mask


def test_an_icon_that_the_font_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs._codepoints.cache_clear()
    monkeypatch.setitem(ICONS, "unicorn", "no-such-icon")
    with pytest.raises(
        InputError, match=r"has no solid icon no-such-icon; .*pip install fontawesomefree==6\.6\.0"
    ):
        require_font()
    monkeypatch.undo()
    require_font()


def test_missing_font_package_says_how_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs._codepoints.cache_clear()
    monkeypatch.setattr(glyphs, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install fontawesomefree==6\.6\.0"):
        render_world(str(tmp_path / "w"), 5)


def test_no_two_names_look_nearly_the_same() -> None:
    looks = {}
    for name in NAMES:
        canvas = Image.new("L", (48, 48))
        mask = Image.fromarray(glyph_mask(name, 48))
        canvas.paste(mask, ((48 - mask.width) // 2, (48 - mask.height) // 2))
        looks[name] = frozenset(place for place, value in enumerate(canvas.tobytes()) if value > 127)
    worst = max(
        (len(looks[a] & looks[b]) / len(looks[a] | looks[b]), a, b) for a, b in combinations(NAMES, 2)
    )
    assert worst[0] < 0.9, worst
