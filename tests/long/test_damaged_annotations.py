"""Damaged JSON in the hands of evaluation's readers: refused by file and entry, or counted; nothing is lost in between.

Each damage is drawn from a seed, which a failure names. What a reader says is compared with what `json.loads` sees.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from data_filters.sample import BrokenSample
from pretrain.evaluation.data.labelled_images import LabelledStream
from pretrain.evaluation.data.phrase_objects import read_phrases
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.data.scene import Scene
from pretrain.evaluation.data.scenes import SceneStream

pytestmark = pytest.mark.long

IMAGE = picture(12, 10, format="PNG")
STRANGE: list[Any] = [
    *(None, True, False, "", " ", "cup", "7", "\ud800", "a\0b", "../a.png", "/a.png", "é" * 300),
    *(0, -1, 7, 5.0, 0.5, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf"), 10**400),
    *([], [None], ["cup"], [1, 2, 3, 4], {}, {"id": 7}, [[[[]]]]),
]
OF_IMAGES = {
    *("no_image", "broken_image", "unsafe_name", "ambiguous_image", "no_file_name", "broken_size"),
    *("no_boxes", "metadata_not_json"),
}
OF_OBJECTS = {"no_name", "no_box", "broken_box", "empty_box", "box_outside", "broken_crowd", "broken_object"}
OF_EXPRESSIONS = {"unknown_annotation", "unknown_object", "no_target", "broken_expression"}


def places(value: Any) -> list[tuple[Any, Any]]:
    """(list or object, index or key) of everything inside a document."""
    found = []
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += [(value, key), *places(inner)]
    return found


def damaged(document: Any, chance: random.Random) -> bytes:
    """The document with up to three entries changed, and now and then bytes cut, flipped or encoded otherwise."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        inside = places(document)
        if not inside:
            break
        holder, key = chance.choice(inside)
        how = chance.randrange(5)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif how == 2 and isinstance(holder[key], list):
            holder[key] = []
        else:
            holder[key] = copy.deepcopy(chance.choice(STRANGE))
    data = bytearray(json.dumps(document).encode())
    how = chance.randrange(12)
    if how == 0:
        del data[chance.randrange(len(data)) :]
    elif how == 1:
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif how == 2:
        return data.decode().encode(chance.choice(["utf-16", "utf-8-sig", "utf-32"]))
    elif how == 3 and chance.random() < 0.2:
        return b"[" * 100_000 + bytes(data)
    return bytes(data)


def plain(data: bytes) -> Any:
    """What json.loads sees; None where it sees nothing."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


ENTRY = re.compile(
    r"(images|annotations|categories)\[\d+\]|category [\d'-]|entry \d|name of '[xyz]'|'[xyz]' and '[xyz]'"  # an entry
    r"|no list '|lacks '|lists \d names|no expression|in COCO's format but|is a \w+; give"  # a part or the whole
    r"|is empty|is no JSON|nested too deeply"  # no JSON at all
)


def check_refusal(error: InputError, seed: int, *files: str) -> None:
    """The line names one of the files, and what is wrong in it; its length is what a person reads."""
    line = str(error)
    assert "\n" not in line, (seed, line)
    assert len(line) < 1500, (seed, line)
    assert any(file in line for file in files), (seed, line)
    assert ENTRY.search(line), (seed, line)


def check_boxes(scenes: list[Scene], seed: int) -> None:
    """Every box is four finite numbers with an area, and overlaps its image."""
    for scene in scenes:
        for known in scene.objects:
            left, top, width, height = known.box
            assert all(math.isfinite(number) for number in known.box), (seed, known)
            assert min(width, height) > 0, (seed, known)
            assert left < scene.image.width and top < scene.image.height, (seed, known)  # noqa: PT018
            assert left + width > 0 and top + height > 0, (seed, known)  # noqa: PT018
            assert known.name.strip(), (seed, known)


def total(counts: Counter[str], reasons: set[str]) -> int:
    return sum(counts[reason] for reason in reasons)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(IMAGE)
    (tmp_path / "c.png").write_bytes(IMAGE[:40])
    return tmp_path


COCO = {
    "images": [
        {"id": number, "file_name": f"{name}.png", "width": 12, "height": 10}
        for number, name in ((7, "a"), (8, "b"), (9, "c"))
    ],
    "categories": [{"id": 3, "name": "cup"}, {"id": 5, "name": "hot dog"}],
    "annotations": [
        {
            "id": number,
            "image_id": 7 + number % 3,
            "category_id": 3,
            "bbox": [1, 2, 3, 4],
            "iscrowd": number % 2,
        }
        for number in range(7)
    ],
}
REFS = [
    {
        "image_id": 7 + number % 3,
        "ann_id": number,
        "split": "val",
        "sentences": [{"sent": "the cup"}, {"raw": "it"}],
    }
    for number in range(5)
]


def usable(record: dict[str, Any], folder: Path) -> bool:
    """Whether an image of COCO's table can be read and has sizes or none: said anew, for comparison."""
    sides = [record.get("width"), record.get("height")]
    return record.get("file_name") in ("a.png", "b.png") and all(
        side is None or is_size(side) for side in sides
    )


def is_size(side: Any) -> bool:
    return isinstance(side, int | float) and not isinstance(side, bool) and (side == 0 or 1 <= side <= 1e7)


def test_coco_instances(folder, repetitions):
    file = folder / "instances.json"
    refused = read = 0
    for seed in range(repetitions(2000)):
        data = damaged(COCO, random.Random(seed))
        file.write_bytes(data)
        try:
            stream = SceneStream(str(file))
            names, scenes = stream.names(), list(stream)
        except InputError as error:
            check_refusal(error, seed, str(file))
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on {data[:2000]!r}") from error
        read += 1
        check_boxes(scenes, seed)
        seen = plain(data)
        images = {record["id"]: record for record in seen["images"]}
        assert len(scenes) + total(stream.skipped, OF_IMAGES) == len(images), seed
        looked_at = {key for key, record in images.items() if usable(record, folder)}
        assert len(scenes) == len(looked_at), seed
        asked = [row for row in seen["annotations"] if row["image_id"] in looked_at]
        objects = sum(len(scene.objects) for scene in scenes)
        assert objects + total(stream.skipped, OF_OBJECTS) == len(asked), seed
        strangers = [row for row in seen["annotations"] if row["image_id"] not in images]
        assert stream.skipped["unknown_image"] == len(strangers), seed
        assert {known.name for scene in scenes for known in scene.objects} <= set(names), seed
    assert refused
    assert read


@pytest.mark.parametrize("which", ["refs.json", "instances.json"])
def test_referring_expressions(folder, repetitions, which):
    files = {"refs.json": REFS, "instances.json": COCO}
    for name, document in files.items():
        (folder / name).write_text(json.dumps(document))
    read = 0
    for seed in range(repetitions(2000)):
        data = damaged(files[which], random.Random(seed))
        (folder / which).write_bytes(data)
        try:
            stream = SceneStream(str(folder / "refs.json"))
            scenes = list(stream)
        except InputError as error:
            check_refusal(error, seed, *(str(folder / name) for name in files))
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on {data[:2000]!r}") from error
        read += 1
        seen = {name: plain((folder / name).read_bytes()) for name in files}
        if not isinstance(seen["refs.json"], list):
            continue  # damage has made COCO's format of it
        images = {record["id"]: record for record in seen["instances.json"]["images"]}
        unread = {key for key, record in images.items() if not usable(record, folder)}
        asked = [len(ref["sentences"]) for ref in seen["refs.json"] if ref["image_id"] not in unread]
        told = sum(len(scene.expressions) for scene in scenes)
        assert told + total(stream.skipped, {*OF_EXPRESSIONS, "unknown_image"}) == sum(asked), seed
    assert read


SCENE = {
    "width": 12,
    "height": 10,
    "objects": [{"name": "cup", "box": [1, 1, 4, 4]}, {"name": "dog", "box": [5, 5, 4, 4]}],
    "referring": [{"text": "the cup", "object": 0, "kind": "name"}, {"text": "the dog", "object": 1}],
    "captions": ["a red cup and a dog", "two things"],
    "mentions": [{"object": 0, "start": 2, "end": 9}, {"object": 1, "start": 16, "end": 19}],
    "loupe": {"phrases": [{"text": "a red cup", "start": 0, "end": 9}]},
    "class": 3,
}


def test_scenes_of_shards(tmp_path, repetitions):
    read = 0
    for seed in range(repetitions(2000)):
        data = damaged(SCENE, random.Random(seed))
        write_tar(tmp_path / "0.tar", {"a.png": IMAGE, "a.json": data})
        try:
            stream = SceneStream(str(tmp_path / "0.tar"))
            scenes = list(stream)
            names = stream.names() if any(scene.objects for scene in scenes) else []
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on {data[:2000]!r}") from error
        if not scenes:
            assert stream.skipped.total() == 1, (seed, stream.skipped)
            continue
        read += 1
        check_boxes(scenes, seed)
        (scene,), seen = scenes, plain(data)
        assert len(scene.objects) + total(stream.skipped, OF_OBJECTS) == len(seen["objects"]), seed
        referring = seen.get("referring") or []
        entries = len(referring) if isinstance(referring, list) else 1
        assert len(scene.expressions) + total(stream.skipped, OF_EXPRESSIONS) == entries, seed
        assert {known.name for known in scene.objects} <= set(names), seed
    assert read


def test_captions_and_phrases_of_shards(tmp_path, repetitions):
    read = 0
    for seed in range(repetitions(2000)):
        data = damaged(SCENE, random.Random(seed))
        write_tar(tmp_path / "0.tar", {"a.png": IMAGE, "a.txt": "a red cup and a dog", "a.json": data})
        stream = SampleStream(str(tmp_path / "0.tar"))
        try:
            pictures = list(stream)
            if not pictures:
                assert stream.skipped.total() == 1, (seed, stream.skipped)
                continue
            (one,), seen = pictures, plain(data)
            captions = seen.get("captions")
            listed = len(captions) if isinstance(captions, list) else 1
            assert len(one.captions) + stream.skipped["broken_caption"] == listed, seed
            found = read_phrases(one, 12)
        except BrokenSample:
            continue  # counted by the task
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on {data[:2000]!r}") from error
        read += 1
        for phrase in found.phrases:
            assert found.caption[slice(*phrase.span)] == phrase.text, seed
            assert all(0 <= number < len(found.boxes) for number in phrase.objects), seed
    assert read


@pytest.mark.parametrize(
    "names", [["tench", "goldfish", "crane"], {"x": "tench", "y": "goldfish", "z": "crane"}]
)
def test_class_names(tmp_path, repetitions, names):
    for name in ("x", "y", "z"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "0.png").write_bytes(IMAGE)
    file = tmp_path / "names.json"
    read = 0
    for seed in range(repetitions(1000)):
        data = damaged(names, random.Random(seed))
        file.write_bytes(data)
        try:
            stream = LabelledStream(str(tmp_path / "data"), str(file))
        except InputError as error:
            check_refusal(error, seed, str(file))
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} on {data[:2000]!r}") from error
        read += 1
        seen = plain(data)
        assert stream.names == (seen if isinstance(seen, list) else [seen[key] for key in ("x", "y", "z")]), (
            seed
        )
        assert len(set(stream.names)) == 3, seed
    assert read
