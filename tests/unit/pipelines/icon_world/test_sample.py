"""One sample: a pure function of seed, split and index, and the ground truth of a scene known by hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product

from pipelines.icon_world.caption import Caption
from pipelines.icon_world.sample import World, sample_key
from pipelines.icon_world.scene import Background, Scene, SceneObject
from pipelines.icon_world.vocabulary import first_names

WORLD = World(seed=6, side=80, flaws=False, test_pairs=0)
SPLITS = ("train", "test", "unseen")


def truth(world: World, split: str, index: int) -> str:
    """The JSON of a sample."""
    scene = world.scene(split, index)
    return json.dumps(world.metadata(split, index, scene, world.caption(split, index, scene)))


def test_a_sample_depends_on_seed_split_and_index_in_any_order() -> None:
    places = list(product(SPLITS, range(15)))
    forwards = {place: truth(WORLD, *place) for place in places}
    backwards = {place: truth(replace(WORLD), *place) for place in reversed(places)}
    assert forwards == backwards
    other_seed = {place: truth(replace(WORLD, seed=7), *place) for place in places}
    assert len({*forwards.values(), *other_seed.values()}) == 2 * len(places)


def test_a_sample_is_the_same_in_a_process_of_another_hash_seed() -> None:
    code = (
        "import hashlib\nfrom pipelines.icon_world.sample import World\nimport json\n"
        "world = World(6, 80, False, 0)\n"
        "scene = world.scene('train', 3)\n"
        "text = json.dumps(world.metadata('train', 3, scene, world.caption('train', 3, scene)))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == hashlib.sha256(truth(WORLD, "train", 3).encode()).hexdigest()


def test_no_two_streams_draw_the_same_numbers() -> None:
    """Seeds, splits, indices and streams of small numbers, among them those that differ by an exchange."""
    draws = {
        int(replace(WORLD, seed=seed).rng(split, index, stream).integers(2**62))
        for seed, split, index, stream in product(range(4), SPLITS, range(6), range(7))
    }
    assert len(draws) == 4 * 3 * 6 * 7


def test_flaws_and_single_share_leave_the_held_out_scenes_as_they_are() -> None:
    changed = replace(WORLD, flaws=True, test_pairs=9, single_share=1.0)
    for index in range(20):
        for split in ("test", "unseen"):
            assert changed.scene(split, index) == WORLD.scene(split, index)
        assert len(changed.scene("train", index).objects) == 1
    assert any(len(WORLD.scene("train", index).objects) > 1 for index in range(20))
    planted = replace(WORLD, flaws=True, test_pairs=9)
    assert all(planted.scene("train", index) == WORLD.scene("train", index) for index in range(20))


def test_worlds_rendered_before_there_were_photographs_and_distractors_stay_as_they_are() -> None:
    """The digest is that of the version before these options; it covers every number drawn but those of flaws."""
    digest = hashlib.sha256()
    for names, split, index in product((12, 188), SPLITS, range(40)):
        digest.update(truth(replace(WORLD, names=first_names(names)), split, index).encode())
        digest.update(repr(WORLD.scene(split, index).background).encode())
    assert digest.hexdigest() == "072c6081315c1e342929dc1845829ee9cb90b2062c926f3aa12b8c80fad314a0"


def test_metadata_of_a_scene_by_hand() -> None:
    background = Background("gradient", ("mint", "rose"), 0.5, 3)
    scene = Scene(80, background, (SceneObject("apple", "red", "small", (5, 6, 14, 16), 16),))
    caption = Caption("there is ")
    caption.name(0, "small red apple")
    caption.say(" on the left")
    assert WORLD.metadata("test", 4, scene, caption) == {
        "caption": "there is a small red apple on the left",
        "width": 80,
        "height": 80,
        "background": "gradient",
        "objects": [{"name": "apple", "color": "red", "size": "small", "box": [5, 6, 14, 16]}],
        "mentions": [{"object": 0, "start": 11, "end": 26}],
        "relations": [],
        "referring": [
            {"text": "the apple", "object": 0, "kind": "name"},
            {"text": "the red apple", "object": 0, "kind": "color"},
            {"text": "the small apple", "object": 0, "kind": "size"},
            {"text": "the small red apple", "object": 0, "kind": "full"},
        ],
        "split": "test",
    }


def test_keys_sort_as_their_indices_and_tell_split_and_index() -> None:
    indices = [0, 1, 9, 10, 99, 100, 54321, 10**8 - 1]
    for split in SPLITS:
        keys = [sample_key(split, index) for index in indices]
        assert keys == sorted(keys)
        assert len({len(key) for key in keys}) == 1
        assert [(key.split("-")[0], int(key.split("-")[1])) for key in keys] == [(split, i) for i in indices]
        assert not any("." in key for key in keys)  # a key ends at the first dot of a member's name
