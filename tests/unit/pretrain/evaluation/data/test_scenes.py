import json

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.scene import Expression, TrueObject
from pretrain.evaluation.data.scenes import SceneStream


def png(tmp_path, size=(40, 20)):
    file = tmp_path / "one.png"
    Image.new("RGB", size, "red").save(file)
    return file.read_bytes()


def test_objects_and_expressions_of_shards(scenes):
    stream = SceneStream(scenes)
    found = list(stream)
    assert len(found) == 9
    assert stream.skipped == {"no_boxes": 1}
    assert found[2].key == "000002"
    assert len(found[2].objects) == 3
    first = found[2].objects[0]
    assert found[2].expressions[0] == Expression(f"the {first.name}", 0, "full")
    assert found[2].image.size == (20, 24)
    assert stream.names() == sorted({one.name for scene in found for one in scene.objects})


def test_boxes_follow_an_image_that_was_resized(tmp_path):
    metadata = {
        "width": 80,
        "height": 60,
        "boxes": [{"bbox": [8, 6, 40, 30], "category": "cat", "iscrowd": 1}],
    }
    write_shard(tmp_path / "0.tar", [("a", {"png": png(tmp_path), "json": json.dumps(metadata).encode()})])
    (scene,) = SceneStream(str(tmp_path))
    assert scene.objects == (TrueObject("cat", (4.0, 2.0, 20.0, 10.0), True),)


@pytest.fixture
def coco(tmp_path):
    """Two images, the second without objects; expressions for both objects of the first."""
    document = {
        "images": [
            {"id": 7, "file_name": "x/a.png", "width": 40, "height": 20},
            {"id": 9, "file_name": "b.png", "width": 40, "height": 20},
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "zebra"}],
        "annotations": [
            {"id": 11, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"id": 10, "image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8], "iscrowd": 1},
        ],
    }
    refs = [
        {
            "image_id": 7,
            "ann_id": 10,
            "split": "val",
            "sentences": [{"sent": "striped one"}, {"sent": "right"}],
        },
        {"image_id": 7, "ann_id": 11, "split": "test", "sentences": [{"raw": "the dog"}]},
    ]
    (tmp_path / "instances.json").write_text(json.dumps(document))
    (tmp_path / "refs.json").write_text(json.dumps(refs))
    return tmp_path


def place_images(folder, how, data):
    if how == "files":
        (folder / "x").mkdir()
        (folder / "x" / "a.png").write_bytes(data)
        (folder / "b.png").write_bytes(data)
    else:
        write_shard(folder / "0.tar", [("a", {"png": data}), ("b", {"png": data})])


@pytest.mark.parametrize("how", ["files", "shards"])
def test_coco_format(coco, how):
    place_images(coco, how, png(coco))
    stream = SceneStream(str(coco / "instances.json"))
    first, second = stream
    assert first.objects == (TrueObject("dog", (1, 2, 3, 4), False), TrueObject("zebra", (5, 6, 7, 8), True))
    assert second.objects == ()
    assert stream.names() == ["zebra", "dog"]
    assert not stream.skipped


def test_refcoco_fields(coco):
    place_images(coco, "files", png(coco))
    data = str(coco / "refs.json")
    (scene,) = SceneStream(data)
    assert scene.expressions == (
        Expression("striped one", 1),
        Expression("right", 1),
        Expression("the dog", 0),
    )
    (scene,) = SceneStream(data, split="test")
    assert scene.expressions == (Expression("the dog", 0),)
    with pytest.raises(InputError, match="split is 'train'; .* has test, val"):
        SceneStream(data, split="train")


def test_missing_and_broken_images_are_counted(coco):
    (coco / "b.png").write_bytes(b"no picture")
    stream = SceneStream(str(coco / "instances.json"))
    assert list(stream) == []
    assert stream.skipped == {"no_image": 1, "unknown_image_format": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is no JSON"), ("{}", "not in COCO's format"), ('[{"a": 1}]', "RefCOCO's refs")],
)
def test_bad_json_is_one_clear_line(tmp_path, content, said):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=said):
        SceneStream(str(tmp_path / "x.json"))
    with pytest.raises(InputError, match="is not there"):
        SceneStream(str(tmp_path / "y.json"))


def test_options_that_shards_have_no_use_for_are_refused(scenes):
    for options, said in (({"images": "here"}, "images is 'here'"), ({"split": "val"}, "split is 'val'")):
        with pytest.raises(InputError, match=f"{said}, but data '.*' are shards, which have no use for it"):
            SceneStream(scenes, **options)


@pytest.mark.parametrize(
    ("referring", "reason"),
    [
        ([{"text": "the cat", "object": 1}], "unknown_object"),
        ([{"text": "the cat", "object": -1}], "unknown_object"),
        ([{"text": "", "object": 0}], "broken_expression"),
        ([{"text": "the cat", "object": "0"}], "broken_expression"),
        ([{"text": "the cat"}], "broken_expression"),
        (["the cat"], "broken_expression"),
        ("the cat", "broken_expression"),
    ],
)
def test_expressions_of_no_object_are_counted(tmp_path, referring, reason):
    metadata = {"boxes": [{"bbox": [8, 6, 40, 30], "category": "cat"}], "referring": referring}
    write_shard(tmp_path / "0.tar", [("a", {"png": png(tmp_path), "json": json.dumps(metadata).encode()})])
    stream = SceneStream(str(tmp_path))
    (scene,) = stream
    assert scene.expressions == ()
    assert stream.skipped == {reason: 1}


def test_expressions_follow_their_objects_when_one_before_them_is_left_out(tmp_path):
    boxes = [{"bbox": None, "category": "dog"}, {"bbox": [8, 6, 30, 10], "category": "cat"}]
    referring = [{"text": "the dog", "object": 0}, {"text": "the cat", "object": 1}]
    text = json.dumps({"boxes": boxes, "referring": referring}).encode()
    write_shard(tmp_path / "0.tar", [("a", {"png": png(tmp_path), "json": text})])
    stream = SceneStream(str(tmp_path))
    (scene,) = stream
    assert scene.expressions == (Expression("the cat", 0),)
    assert stream.skipped == {"no_box": 1, "no_target": 1}
    assert stream.names() == ["cat", "dog"]


def test_categories_of_one_name_are_one_class(coco):
    document = json.loads((coco / "instances.json").read_text())
    document["categories"].append({"id": 4, "name": "dog"})
    (coco / "instances.json").write_text(json.dumps(document))
    assert SceneStream(str(coco / "instances.json")).names() == ["zebra", "dog"]


def test_real_photographs_say_the_same_in_both_formats(shared_data):
    shard = {s.key: s for s in SceneStream(str(shared_data / "coco"))}
    json_format = {s.key: s for s in SceneStream(str(shared_data / "coco" / "instances.json"))}
    assert len(shard) >= 50
    known = [key for key in json_format if json_format[key].objects]
    assert len(known) >= 50
    for key in known:
        ours, theirs = shard[key].objects, json_format[key].objects
        assert sorted(one.name for one in ours) == sorted(one.name for one in theirs)
        boxes = [np.array(sorted(one.box for one in side)) for side in (ours, theirs)]
        np.testing.assert_allclose(*boxes, atol=0.02)
