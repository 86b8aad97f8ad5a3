"""Referring expressions on scenes known by hand, and on every scene of a small kind by enumeration."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from pipelines.icon_world.referring import Referring, refer
from pipelines.icon_world.scene import Background, Scene, SceneObject

BACKGROUND = Background("plain", ("white", "grey"), 0.0, 0)
AHEAD = {
    " to the left of ": lambda a, b: a[0] < b[0],
    " to the right of ": lambda a, b: a[0] > b[0],
    " above ": lambda a, b: a[1] < b[1],
    " below ": lambda a, b: a[1] > b[1],
}
KEY = {
    "leftmost": lambda x, y, area: -x,
    "rightmost": lambda x, y, area: x,
    "topmost": lambda x, y, area: -y,
    "bottommost": lambda x, y, area: y,
    "largest": lambda x, y, area: area,
    "smallest": lambda x, y, area: -area,
}


def thing(looks: str, x: int, y: int, side: int = 10) -> SceneObject:
    """An object of "SIZE COLOUR NAME" with a square box around the centre (x, y)."""
    size, color, name = looks.split()
    return SceneObject(name, color, size, (x - side // 2, y - side // 2, side, side), side)


def picture(*objects: SceneObject) -> Scene:
    """A scene of 100 pixels."""
    return Scene(100, BACKGROUND, objects)


def everything_said(scene: Scene, seeds: int = 60) -> set[tuple[str, int]]:
    """All (text, object) that are drawn for a scene by one of many seeds."""
    drawn = (refer(np.random.default_rng(seed), scene) for seed in range(seeds))
    return {(expression.text, expression.object) for some in drawn for expression in some}


def middle(item: SceneObject) -> tuple[float, float]:
    return item.box[0] + item.box[2] / 2, item.box[1] + item.box[3] / 2


def called(words: str, item: SceneObject) -> bool:
    """Whether the noun is the name and every adjective is true."""
    *adjectives, noun = words.removeprefix("the ").split()
    return noun == item.name and set(adjectives) <= {item.size, item.color}


def readings(text: str, objects: tuple[SceneObject, ...]) -> set[int]:
    """Every object that the text could mean."""
    for words, ahead in AHEAD.items():
        if words in text:
            subject, landmark = text.split(words)
            return {
                a
                for a, b in product(range(len(objects)), repeat=2)
                if a != b and called(subject, objects[a]) and called(landmark, objects[b])
                if ahead(middle(objects[a]), middle(objects[b]))
            }
    _, first, *rest = text.split()
    if first not in KEY:
        return {index for index, item in enumerate(objects) if called(text, item)}
    among = {
        index: KEY[first](*middle(item), item.box[2] * item.box[3])
        for index, item in enumerate(objects)
        if rest[0] in (item.name, "object")
    }
    assert len(among) > 1, text
    return {index for index, value in among.items() if value == max(among.values())}


def test_a_lone_object_is_called_by_its_looks_from_few_words_to_many() -> None:
    drawn = refer(np.random.default_rng(0), picture(thing("small red cat", 50, 50)))
    assert drawn == [
        Referring("the cat", 0, "name"),
        Referring("the red cat", 0, "color"),
        Referring("the small cat", 0, "size"),
        Referring("the small red cat", 0, "full"),
    ]


def test_all_expressions_of_two_namesakes_by_hand() -> None:
    scene = picture(thing("small red cat", 20, 50, 20), thing("large red cat", 80, 50, 40))
    assert everything_said(scene) == {
        *((f"the {words} cat", 0) for words in ("small", "small red", "leftmost", "smallest")),
        *((f"the {words} cat", 1) for words in ("large", "large red", "rightmost", "largest")),
    }


def test_all_expressions_of_a_landmark_and_two_namesakes_by_hand() -> None:
    scene = picture(
        thing("small red cat", 20, 50), thing("small blue cat", 80, 50), thing("small red dog", 50, 50)
    )
    assert everything_said(scene, 200) == {
        *((f"the {words}", 0) for words in ("red cat", "small red cat", "leftmost cat", "leftmost object")),
        ("the cat to the left of the dog", 0),
        *(
            (f"the {words}", 1)
            for words in ("blue cat", "small blue cat", "rightmost cat", "rightmost object")
        ),
        ("the cat to the right of the dog", 1),
        *((f"the {words}", 2) for words in ("dog", "red dog", "small dog", "small red dog")),
        ("the dog to the right of the red cat", 2),
        ("the dog to the left of the blue cat", 2),
    }


def test_all_expressions_beside_distractors_by_hand() -> None:
    """A distractor is an object as well: the cat is left of one and above of another, and larger than both."""
    scene = picture(thing("large red cat", 40, 40, 40))
    sun, drum = thing("small red sun", 80, 36, 20), thing("small blue drum", 20, 80, 20)
    looks = {(f"the {words}", 0) for words in ("cat", "red cat", "large cat", "large red cat")}
    assert everything_said(scene) == looks
    beside_sun = everything_said(replace(scene, distractors=(sun,)), 200)
    assert beside_sun == looks | {("the leftmost object", 0), ("the largest object", 0)}
    beside_both = everything_said(replace(scene, distractors=(sun, drum)), 200)
    assert beside_both == looks | {("the largest object", 0)}


def test_every_expression_of_every_small_scene_has_one_reading() -> None:
    """All scenes of three of six looks on three of four places, each with its own seed."""
    looks = [
        "large red cat",
        "large blue cat",
        "small red cat",
        "small red dog",
        "small blue dog",
        "large red dog",
    ]
    places = [(20, 20), (20, 75), (75, 20), (60, 78)]
    scenes = 0
    seen: set[str] = set()
    for trio in combinations(looks, 3):
        for where in combinations(places, 3):
            objects = tuple(
                thing(look, *place, 40 if look.startswith("large") else 20)
                for look, place in zip(trio, where, strict=True)
            )
            # a distractor in every second scene, in the place that is left
            (left,) = set(places) - set(where)
            unnamed = (thing("small red sun", *left, 20),) if scenes % 2 else ()
            drawn = refer(np.random.default_rng(scenes), Scene(100, BACKGROUND, objects, unnamed))
            for expression in drawn:
                seen_by_all = (*objects, *unnamed)
                assert readings(expression.text, seen_by_all) == {expression.object}, (expression, objects)
            counts = [sum(expression.object == index for expression in drawn) for index in range(3)]
            assert 1 <= min(counts) <= max(counts) <= 4
            assert [expression.object for expression in drawn] == sorted(e.object for e in drawn)
            seen |= {expression.kind for expression in drawn}
            scenes += 1
    assert scenes == 20 * 4
    assert seen == {"name", "color", "size", "full", "superlative", "relation"}


@pytest.mark.parametrize(("distance", "said"), [(7, False), (8, True)])
def test_leftmost_needs_eight_hundredths_of_the_side(distance: int, said: bool) -> None:
    scene = picture(thing("small red cat", 40, 50), thing("small blue cat", 40 + distance, 50))
    assert (("the leftmost cat", 0) in everything_said(scene)) is said
    assert (("the rightmost cat", 1) in everything_said(scene)) is said


@pytest.mark.parametrize(
    ("size", "side", "said"),
    [
        ("large", 24, True),
        ("large", 20, False),
        ("small", 40, False),
    ],  # areas 1.44, 1 and 4 times the other's
)
def test_largest_needs_another_size_name_and_a_fifth_more_area(size: str, side: int, said: bool) -> None:
    scene = picture(thing(f"{size} red cat", 30, 30, side), thing("small blue cat", 70, 70, 20))
    assert (("the largest cat", 0) in everything_said(scene)) is said
    assert (("the smallest cat", 1) in everything_said(scene)) is said


@pytest.mark.parametrize(("x", "said"), [(50, True), (49, False)])
def test_no_relation_where_a_namesake_might_stand_on_the_same_side(x: int, said: bool) -> None:
    """The second cat is below the dog at x = 50, and left of its centre, by one pixel, at 49."""
    scene = picture(
        thing("small red cat", 20, 50), thing("small blue cat", x, 80), thing("small red dog", 50, 50)
    )
    assert (("the cat to the left of the dog", 0) in everything_said(scene, 150)) is said
