"""Distractors: shapes without a name, which leave objects and texts as they are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from pipelines.icon_world.distractors import draw_distractors, unnamed_glyphs
from pipelines.icon_world.render import paint
from pipelines.icon_world.sample import World
from pipelines.icon_world.scene import Scene
from pipelines.icon_world.vocabulary import COLORS, NAMES, SIZES, first_names, held_out_color

SIDE = 100
PLAIN = World(seed=6, side=SIDE, flaws=False, test_pairs=0, names=first_names(12))
WORLD = replace(PLAIN, distractors=4)
SPLITS = ("train", "test", "unseen")


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    """300 scenes of each split."""
    return {split: [WORLD.scene(split, index) for index in range(300)] for split in SPLITS}


def common(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Common pixels as a share of the smaller box, counted on a canvas."""
    masks = np.zeros((2, SIDE, SIDE), bool)
    for mask, (x, y, width, height) in zip(masks, (a, b), strict=True):
        mask[y : y + height, x : x + width] = True
    return (masks[0] & masks[1]).sum() / min(masks[0].sum(), masks[1].sum())


def test_unnamed_glyphs_are_the_rest_of_the_vocabulary() -> None:
    names = first_names(12)
    assert sorted((*unnamed_glyphs(names), *names)) == sorted(NAMES)
    assert unnamed_glyphs(NAMES) == ()


def test_distractors_have_no_name_of_the_world_and_looks_that_the_split_may_show(
    scenes: dict[str, list[Scene]],
) -> None:
    seen: dict[str, set[str]] = {"name": set(), "color": set(), "size": set()}
    for split, drawn in scenes.items():
        for shape in (shape for scene in drawn for shape in scene.distractors):
            assert shape.name in set(NAMES) - set(WORLD.names)
            assert (shape.color == held_out_color()[shape.name]) == (split == "unseen")
            for field, values in seen.items():
                values.add(getattr(shape, field))
    assert seen["color"] == set(COLORS)
    assert seen["size"] == set(SIZES)
    assert len(seen["name"]) > 0.95 * (len(NAMES) - 12)


def test_their_number_is_uniform(scenes: dict[str, list[Scene]]) -> None:
    counts = Counter(len(scene.distractors) for drawn in scenes.values() for scene in drawn)
    assert set(counts) == set(range(5))
    deviation = (900 * 0.2 * 0.8) ** 0.5
    assert all(abs(count - 180) < 3.5 * deviation for count in counts.values()), counts


def test_they_lie_inside_and_overlap_as_little_as_objects(scenes: dict[str, list[Scene]]) -> None:
    for scene in (scene for drawn in scenes.values() for scene in drawn):
        for shape in scene.distractors:
            x, y, width, height = shape.box
            assert min(x, y, SIDE - x - width, SIDE - y - height) >= 2
        for one, other in combinations((*scene.objects, *scene.distractors), 2):
            assert common(one.box, other.box) <= 0.05


def test_a_picture_without_room_gets_none() -> None:
    """One object over the whole picture: no box of any size overlaps it by 5 percent alone."""
    scene = PLAIN.scene("train", 0)
    full = replace(scene, objects=(replace(scene.objects[0], box=(0, 0, SIDE, SIDE)),))
    glyphs = unnamed_glyphs(WORLD.names)
    assert all(
        draw_distractors(np.random.default_rng(seed), "train", full, glyphs, 4) == () for seed in range(20)
    )


def test_objects_captions_and_backgrounds_are_those_of_the_world_without(
    scenes: dict[str, list[Scene]],
) -> None:
    for split, drawn in scenes.items():
        for index, scene in enumerate(drawn):
            plain = PLAIN.scene(split, index)
            assert replace(scene, distractors=()) == plain
            assert WORLD.caption(split, index, scene) == PLAIN.caption(split, index, plain)


def test_no_text_names_them_and_the_json_lists_them_apart(scenes: dict[str, list[Scene]]) -> None:
    for split, drawn in scenes.items():
        for index, scene in enumerate(drawn):
            truth = WORLD.metadata(split, index, scene, WORLD.caption(split, index, scene))
            assert truth["distractors"] == [
                {"name": shape.name, "color": shape.color, "size": shape.size, "box": list(shape.box)}
                for shape in scene.distractors
            ]
            texts = " ".join([truth["caption"], *(expression["text"] for expression in truth["referring"])])
            for shape in scene.distractors:
                assert not re.search(rf"\b{shape.name}\b", texts), (shape.name, texts)
    plain = PLAIN.metadata("train", 0, PLAIN.scene("train", 0), PLAIN.caption("train", 0, scenes["train"][0]))
    assert "distractors" not in plain


def test_they_are_painted_within_their_boxes_and_hide_no_object(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["train"][:80]:
        with_them, without = paint(scene), paint(replace(scene, distractors=()))
        changed = (with_them != without).any(axis=2)
        boxes, glyphs = np.zeros((2, SIDE, SIDE), bool)
        for shape in scene.distractors:
            x, y, width, height = shape.box
            boxes[y : y + height, x : x + width] = True
            assert changed[y : y + height, x : x + width].any()
        for thing in scene.objects:
            glyphs |= (without == COLORS[thing.color]).all(axis=2)
        assert not (changed & ~boxes).any()
        assert not (changed & glyphs).any()
