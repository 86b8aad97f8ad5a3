"""Captions of scenes known by hand: every text that is drawn is parsed and compared with the scene."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from pipelines.icon_world.caption import Caption, Mention, Relation, compose_caption
from pipelines.icon_world.scene import Background, Scene, SceneObject

OPENINGS = "(?:a photo of |a picture of |an image of |an illustration of |there is )?"
BACKGROUND_WORDS = {
    "plain": " on a plain background",
    "gradient": " on a smoothly shaded background",
    "noise": " on a noisy background",
}


def scene(*objects: tuple[str, int, int], kind: str = "plain") -> Scene:
    """A scene of 100 pixels: objects "SIZE COLOUR NAME" of 10 x 10 pixels around their centres."""
    things = (
        SceneObject(name, color, size, (x - 5, y - 5, 10, 10), 10)
        for (size, color, name), x, y in ((looks.split(" ", 2), x, y) for looks, x, y in objects)
    )
    return Scene(100, Background(kind, ("white", "grey"), 0.0, 0), tuple(things))


def captions(of: Scene, count: int = 400) -> list[Caption]:
    """One caption per seed."""
    return [compose_caption(np.random.default_rng((2, seed)), of) for seed in range(count)]


def mentioned(caption: Caption) -> list[tuple[int, str]]:
    """(object, words) as the spans cut them out of the text."""
    return [(m.object, caption.text[m.start : m.end]) for m in caption.mentions]


def test_spans_are_counted_by_hand() -> None:
    caption = Caption()
    caption.say("a photo of ")
    caption.name(1, "orange cat")
    caption.say(" above ")
    caption.name(0, "cat", "the")
    assert caption.text == "a photo of an orange cat above the cat"
    #                       0          11 14       24      31  35
    assert caption.mentions == [Mention(1, 14, 24), Mention(0, 35, 38)]


@pytest.mark.parametrize("kind", sorted(BACKGROUND_WORDS))
def test_a_lone_object_has_a_closed_set_of_captions(kind: str) -> None:
    """Opening, size, colour and name, in six of ten captions the place, in three of ten the background."""
    lone = scene(("small orange beer mug", 90, 10), kind=kind)
    place, background = " in the top right corner", BACKGROUND_WORDS[kind]
    form = re.compile(f"{OPENINGS}a small orange beer mug({place})?({background})?")
    drawn = captions(lone)
    matches = [form.fullmatch(caption.text) for caption in drawn]
    assert all(matches), [caption.text for caption in drawn]
    assert 0.52 < np.mean([bool(match and match[1]) for match in matches]) < 0.68
    assert 0.23 < np.mean([bool(match and match[2]) for match in matches]) < 0.37
    assert len({match and match[0] for match in matches}) == 6 * 2 * 2
    for caption in drawn:
        assert mentioned(caption) == [(0, "small orange beer mug")]
        assert caption.relations == []


def test_two_objects_are_told_in_their_relation_or_as_a_list() -> None:
    """The umbrella is left of the dog. Eight of ten captions say so, from one side or from the other."""
    pair = scene(("small red umbrella", 20, 50), ("large blue dog", 80, 50))
    umbrella, dog = "(an umbrella|a (?:small )?(?:red )?umbrella)", "(a (?:large )?(?:blue )?dog)"
    forms = {
        "left": f"{umbrella} to the left of {dog}",
        "right": f"{dog} to the right of {umbrella}",
        "list": f"{umbrella} and {dog}|{dog} and {umbrella}",
    }
    told = Counter[str]()
    for caption in captions(pair, 600):
        (form,) = (
            name
            for name, form in forms.items()
            if re.fullmatch(f"{OPENINGS}(?:{form})(?: on a plain background)?", caption.text)
        )
        told[form] += 1
        expected = {"left": [Relation(0, "to the left of", 1)], "right": [Relation(1, "to the right of", 0)]}
        assert caption.relations == expected.get(form, [])
        assert all(words.split()[-1] == ("umbrella", "dog")[index] for index, words in mentioned(caption))
        assert {index for index, _ in mentioned(caption)} == {0, 1}
    assert 0.75 < (told["left"] + told["right"]) / 600 < 0.85
    assert 0.42 < told["left"] / (told["left"] + told["right"]) < 0.58


def test_objects_without_a_clear_relation_are_a_list() -> None:
    """Three centres within 14 pixels: nearer than the 15 that a relation needs."""
    near = scene(("small red cat", 50, 50), ("small blue dog", 60, 50), ("small pink sun", 50, 60))
    mention = "an? [a-z ]*(?:cat|dog|sun)"
    form = re.compile(f"{OPENINGS}(?:{mention}, )?{mention} and {mention}(?: on a plain background)?")
    for caption in captions(near, 200):
        assert form.fullmatch(caption.text), caption.text
        assert caption.relations == []
        assert len(caption.mentions) == caption.text.count(",") + 2


def test_one_caption_in_ten_leaves_out_one_of_three_objects() -> None:
    trio = scene(("small red cat", 20, 50), ("small blue dog", 80, 50), ("small pink sun", 50, 90))
    drawn = captions(trio, 600)
    lengths = Counter(len(caption.mentions) for caption in drawn)
    assert set(lengths) == {2, 3}
    assert 0.06 < lengths[2] / 600 < 0.14
    for caption in drawn:
        named = {
            index
            for index, noun in enumerate(("cat", "dog", "sun"))
            if re.search(rf"\b{noun}\b", caption.text)
        }
        assert named == {index for index, _ in mentioned(caption)}
        assert all({said.subject, said.object} <= named for said in caption.relations)


def test_details_have_their_shares_except_for_namesakes() -> None:
    """Size and colour, colour, size, none: 82, 10, 4 and 4 percent; namesakes have always both."""
    trio = scene(("small red cat", 20, 50), ("large red cat", 80, 50), ("small pink dog", 50, 90))
    details = Counter[str]()
    for caption in captions(trio, 1000):
        for index, words in mentioned(caption):
            if index < 2:
                assert words == ("small red cat", "large red cat")[index]
            else:
                details[words] += 1
    expected = {"small pink dog": 0.82, "pink dog": 0.10, "small dog": 0.04, "dog": 0.04}
    assert set(details) == set(expected)
    for words, share in expected.items():
        deviation = (share * (1 - share) / details.total()) ** 0.5
        assert abs(details[words] / details.total() - share) < 3.5 * deviation, details


def test_a_caption_depends_on_the_generator_and_the_scene_alone() -> None:
    pair = scene(("small red umbrella", 20, 50), ("large blue dog", 80, 50))
    assert captions(pair, 40) == captions(pair, 40)
    texts = {caption.text for caption in captions(pair, 40)}
    assert len(texts) > 20
    recolored = scene(("small green umbrella", 20, 50), ("large blue dog", 80, 50))
    swapped = [caption.text.replace("green", "red") for caption in captions(recolored, 40)]
    assert swapped == [caption.text for caption in captions(pair, 40)]
