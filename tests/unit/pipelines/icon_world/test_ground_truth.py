"""What the icon world says of its pictures is true: boxes, captions, relations, referring expressions.

The referees know the English and the geometry on their own; of the world they read pictures and KEY.json only.
"""

import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.icon_world import COLORS, NAMES, SIZES, render_world
from pipelines.icon_world.render import paint
from pipelines.icon_world.sample import World
from pipelines.shards.reader import iterate

SIDES = {
    "to the left of": lambda a, b: b[0] - a[0],
    "to the right of": lambda a, b: a[0] - b[0],
    "above": lambda a, b: b[1] - a[1],
    "below": lambda a, b: a[1] - b[1],
}
VOWEL_SOUNDS = {
    *("airplane", "anchor", "apple", "astronaut", "egg", "envelope", "eye", "hourglass", "ice", "igloo"),
    *("orange", "otter", "umbrella"),
}


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """KEY.json of 500 scenes, of which half show held-out pairs, with the picture under "pixels"."""
    folder = tmp_path_factory.mktemp("truth") / "w"
    render_world(str(folder), 250, seed=11, image_size=112, test_pairs=0, unseen_pairs=250, workers=1)
    found = []
    for split in ("train", "unseen"):
        for _, members in iterate(str(folder / split / "00000.tar")):
            pixels = np.asarray(Image.open(io.BytesIO(members["jpg"])).convert("RGB")).astype(int)
            found.append({**json.loads(members["json"]), "pixels": pixels})
    return found


def extent(changed: NDArray[np.bool_]) -> list[int]:
    """[x, y, w, h] of the true pixels of a mask."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return [
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    ]


def middle(thing: dict) -> tuple[float, float]:
    x, y, w, h = thing["box"]
    return x + w / 2, y + h / 2


@pytest.mark.parametrize("side", [64, 112, 224])
def test_box_is_exactly_what_the_object_changes(side: int) -> None:
    world = World(seed=5, side=side, flaws=False, test_pairs=0)
    for index in range(60):
        scene = world.scene("train", index)
        empty = paint(scene, ())
        for number, thing in enumerate(scene.objects):
            alone = paint(scene, (number,))
            assert extent((alone != empty).any(axis=2)) == list(thing.box), thing


def test_boxes_fit_the_written_pictures(truths: list[dict]) -> None:
    """In the JPEG of a lone object on a plain background, what differs from the corner is the box."""
    checked = 0
    for truth in truths:
        if truth["background"] == "plain" and len(truth["objects"]) == 1:
            away = np.abs(truth["pixels"] - truth["pixels"][0, 0]).max(axis=2)
            found, box = extent(away > 60), truth["objects"][0]["box"]
            assert np.abs(np.array(found) - np.array(box)).max() <= 3, (found, box)
            checked += 1
    assert checked >= 15


def test_objects_show_their_color_and_size(truths: list[dict]) -> None:
    for truth in truths:
        side = truth["width"]
        for thing in truth["objects"]:
            x, y, w, h = thing["box"]
            patch = truth["pixels"][y : y + h, x : x + w].reshape(-1, 3)
            distance = {color: np.abs(patch - COLORS[color]).sum(axis=1) for color in COLORS}
            near = {color: int((values < 60).sum()) for color, values in distance.items()}
            assert near[thing["color"]] == max(near.values()) > 0.03 * w * h, (thing, near)
            least, most = SIZES[thing["size"]]
            assert least * side - 2 <= max(w, h) <= most * side + 1


def test_objects_lie_inside_and_hardly_overlap(truths: list[dict]) -> None:
    for truth in truths:
        covered = [np.zeros((truth["height"], truth["width"]), bool) for _ in truth["objects"]]
        for mask, thing in zip(covered, truth["objects"], strict=True):
            x, y, w, h = thing["box"]
            assert 0 <= x <= x + w <= truth["width"]
            assert 0 <= y <= y + h <= truth["height"]
            mask[y : y + h, x : x + w] = True
        for number, mask in enumerate(covered):
            for other in covered[:number]:
                assert (mask & other).sum() <= 0.05 * min(mask.sum(), other.sum())


def fits(words: str, thing: dict) -> bool:
    """Whether "large red umbrella", with any of its adjectives left out, describes an object."""
    return re.fullmatch(rf"({thing['size']} )?({thing['color']} )?{thing['name']}", words) is not None


def test_mentions_are_where_the_captions_name_things(truths: list[dict]) -> None:
    every_name = re.compile(rf"\b({'|'.join(sorted(NAMES, key=len, reverse=True))})\b")
    full = mentions = 0
    for truth in truths:
        caption, objects = truth["caption"], truth["objects"]
        named = [match.end() for match in every_name.finditer(caption)]
        assert sorted(mention["end"] for mention in truth["mentions"]) == named, caption
        assert len({mention["object"] for mention in truth["mentions"]}) == len(truth["mentions"])
        for mention in truth["mentions"]:
            words = caption[mention["start"] : mention["end"]]
            assert fits(words, objects[mention["object"]]), (words, caption)
            before = caption[: mention["start"]].split()[-1]
            assert before == ("an" if words.split()[0] in VOWEL_SOUNDS else "a"), caption
            full += words.split()[0] in SIZES and words.split()[1] in COLORS
            mentions += 1
        assert len(caption.split()) >= 4
    assert full / mentions > 0.75
    assert mentions > 0.95 * sum(len(truth["objects"]) for truth in truths)


def test_relations_in_captions_are_true_of_the_boxes(truths: list[dict]) -> None:
    said = Counter()
    for truth in truths:
        caption, objects, mentions = truth["caption"], truth["objects"], truth["mentions"]
        found = []
        for words, ahead in SIDES.items():
            for match in re.finditer(rf" {words} an? ", caption):
                subject = next(m["object"] for m in mentions if m["end"] == match.start())
                other = next(m["object"] for m in mentions if m["start"] == match.end())
                a, b = middle(objects[subject]), middle(objects[other])
                assert ahead(a, b) > 0.14 * truth["width"], caption
                assert ahead(a, b) >= max(abs(a[0] - b[0]), abs(a[1] - b[1])), caption
                found.append({"subject": subject, "relation": words, "object": other})
                said[words] += 1
        assert found == truth["relations"]
    assert min(said[words] for words in SIDES) > 20


def test_places_in_captions_are_true_of_the_boxes(truths: list[dict]) -> None:
    places = Counter()
    for truth in truths:
        match = re.search(r"(in the (top|bottom) (left|right) corner|on the (left|right)|at the (top|bottom)|"
                          r"in the middle)\b", truth["caption"])  # fmt: skip
        if match is None:
            continue
        assert len(truth["objects"]) == 1
        x, y = (value / truth["width"] for value in middle(truth["objects"][0]))
        words = set(match.group().split())
        places[match.group()] += 1
        assert x < 0.4 if "left" in words else not x < 0.35
        assert x > 0.6 if "right" in words else not x > 0.65
        assert y < 0.4 if "top" in words else not y < 0.35
        assert y > 0.6 if "bottom" in words else not y > 0.65
    assert len(places) >= 7


def meant(text: str, objects: list[dict]) -> set[int]:
    """Every object that a generous reader could take `text` for, by trying them all."""
    words = text.removeprefix("the ")
    for relation, ahead in SIDES.items():
        if f" {relation} the " in words:
            subject, landmark = words.split(f" {relation} the ")
            return {
                a
                for a, thing in enumerate(objects)
                for b, other in enumerate(objects)
                if a != b and fits(subject, thing) and fits(landmark, other)
                if ahead(middle(thing), middle(other)) > 0
            }
    first, _, noun = words.partition(" ")
    value = {
        "leftmost": lambda thing: -middle(thing)[0],
        "rightmost": lambda thing: middle(thing)[0],
        "topmost": lambda thing: -middle(thing)[1],
        "bottommost": lambda thing: middle(thing)[1],
        "largest": lambda thing: thing["box"][2] * thing["box"][3],
        "smallest": lambda thing: -thing["box"][2] * thing["box"][3],
    }.get(first)
    if value is None:
        return {index for index, thing in enumerate(objects) if fits(words, thing)}
    among = [index for index, thing in enumerate(objects) if noun in (thing["name"], "object")]
    assert len(among) >= 2, text
    best = max(value(objects[index]) for index in among)
    return {index for index in among if value(objects[index]) >= best - 1}


def test_referring_expressions_mean_exactly_one_object(truths: list[dict]) -> None:
    kinds = Counter()
    for truth in truths:
        objects = truth["objects"]
        for expression in truth["referring"]:
            assert meant(expression["text"], objects) == {expression["object"]}, (expression, objects)
            kinds[expression["kind"]] += 1
        assert {expression["object"] for expression in truth["referring"]} == set(range(len(objects)))
    assert set(kinds) == {"name", "color", "size", "full", "superlative", "relation"}
    assert min(kinds.values()) > 50


def test_some_scenes_need_more_than_a_name(truths: list[dict]) -> None:
    namesakes = sum(len({t["name"] for t in truth["objects"]}) < len(truth["objects"]) for truth in truths)
    assert namesakes > 0.1 * len(truths)


def test_training_json_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        render_world(str(tmp_path / name), 3, seed=2, image_size=64, test_pairs=0, unseen_pairs=0)
    a, b = (dict(iterate(str(tmp_path / name / "train" / "00000.tar"))) for name in ("a", "b"))
    assert a == b
