"""Scenes over many seeds: places, looks and the shares in which they are drawn."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from pipelines.icon_world.glyphs import glyph_mask
from pipelines.icon_world.scene import Scene, _overlap, draw_scene
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS, NAMES, first_names, held_out_color

SIDE = 100
# of the side: the least and the greatest longer side of a glyph
GLYPH_SIDES = {"small": (18, 22), "medium": (28, 32), "large": (40, 45)}


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """1200 training scenes of 100 pixels."""
    return [draw_scene(np.random.default_rng((8, seed)), "train", SIDE) for seed in range(1200)]


def pixels(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    x, y, width, height = box
    return set(product(range(x, x + width), range(y, y + height)))


def test_overlap_counts_the_common_pixels_of_the_smaller_box() -> None:
    rng = np.random.default_rng(0)
    touching = 0
    for _ in range(400):
        a, b = ((*rng.integers(0, 6, 2).tolist(), *rng.integers(1, 7, 2).tolist()) for _ in range(2))
        common = len(pixels(a) & pixels(b))
        assert _overlap(a, b) == pytest.approx(common / min(len(pixels(a)), len(pixels(b))))
        touching += common > 0
    assert 50 < touching < 350


def test_boxes_stay_two_pixels_from_the_border_and_hardly_overlap(scenes: list[Scene]) -> None:
    nearest = SIDE
    for scene in scenes:
        for thing in scene.objects:
            x, y, width, height = thing.box
            nearest = min(nearest, x, y, SIDE - x - width, SIDE - y - height)
        for one, other in combinations(scene.objects, 2):
            common = len(pixels(one.box) & pixels(other.box))
            assert common <= 0.05 * min(len(pixels(one.box)), len(pixels(other.box)))
    assert nearest == 2


def test_boxes_are_those_of_the_glyphs_in_the_sizes_that_they_name(scenes: list[Scene]) -> None:
    for thing in (thing for scene in scenes for thing in scene.objects):
        least, most = GLYPH_SIDES[thing.size]
        assert least <= thing.glyph_side <= most
        assert max(thing.box[2:]) == thing.glyph_side
        assert thing.box[2:] == glyph_mask(thing.name, thing.glyph_side).shape[::-1]
    area = [sum(GLYPH_SIDES[thing.size][1] ** 2 for thing in scene.objects) for scene in scenes]
    assert max(area) <= 0.45 * SIDE**2


def test_looks_are_unique_in_a_scene_and_follow_the_split() -> None:
    names = first_names(16)
    for split in ("train", "test", "unseen"):
        for seed in range(150):
            scene = draw_scene(np.random.default_rng(seed), split, SIDE, names)
            looks = [(thing.name, thing.color, thing.size) for thing in scene.objects]
            assert len(set(looks)) == len(looks)
            for name, color, _ in looks:
                assert name in names
                assert (color == held_out_color()[name]) == (split == "unseen")


@pytest.mark.parametrize("single_share", [0.0, 0.2, 0.6, 1.0])
def test_counts_of_objects_have_their_shares(single_share: float) -> None:
    """Those with several objects are split 40 : 25 : 15 between two, three and four."""
    drawn = 500
    counts = Counter(
        len(draw_scene(np.random.default_rng((4, seed)), "train", 64, NAMES, single_share).objects)
        for seed in range(drawn)
    )
    several = 1 - single_share
    expected = {1: single_share, 2: several * 40 / 80, 3: several * 25 / 80, 4: several * 15 / 80}
    assert set(counts) <= set(expected)
    for count, share in expected.items():
        deviation = (share * (1 - share) / drawn) ** 0.5
        assert abs(counts[count] / drawn - share) <= 3.5 * deviation, (count, counts)


def test_a_fifth_of_second_objects_repeats_the_first_name(scenes: list[Scene]) -> None:
    pairs = [scene.objects for scene in scenes if len(scene.objects) == 2]
    repeated = sum(one.name == other.name for one, other in pairs) / len(pairs)
    assert 0.15 < repeated < 0.26


def test_a_scene_depends_on_the_generator_alone(scenes: list[Scene]) -> None:
    for seed in reversed(range(0, 1200, 60)):
        assert draw_scene(np.random.default_rng((8, seed)), "train", SIDE) == scenes[seed]
    assert len(set(scenes)) == len(scenes)


def test_backgrounds_are_drawn_equally_and_with_two_colors(scenes: list[Scene]) -> None:
    kinds = Counter(scene.background.kind for scene in scenes)
    assert set(kinds) == {"plain", "gradient", "noise"}
    assert min(kinds.values()) > 340  # 400 expected, standard deviation 16
    colors = Counter(color for scene in scenes for color in scene.background.colors)
    assert set(colors) == set(BACKGROUND_COLORS)
    for scene in scenes:
        assert len(set(scene.background.colors)) == 2
        assert 0 <= scene.background.angle < 2 * np.pi
