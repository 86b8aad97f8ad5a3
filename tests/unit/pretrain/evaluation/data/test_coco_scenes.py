import json
from collections import Counter

import pytest
from PIL import Image

from data_filters.errors import InputError
from data_filters.sample import BrokenSample
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.coco_scenes import CocoScenes, ImageFiles
from pretrain.evaluation.data.coco_tables import read_tables
from pretrain.evaluation.data.scene import Expression


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.png")
    document = {
        "images": [{"id": number, "file_name": name} for number, name in ((1, "a.png"), (2, "b.png"))],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cup"}],
        "annotations": [
            {"id": 8, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]},
            {"id": 9, "image_id": 1, "category_id": 2, "bbox": None},
        ],
    }
    refs = [
        {"image_id": 1, "ann_id": number, "sentences": [{"sent": f"say {number}"}]} for number in (8, 9, 77)
    ]
    (tmp_path / "instances.json").write_text(json.dumps(document))
    (tmp_path / "refs.json").write_text(json.dumps(refs))
    return tmp_path


def scenes_of(folder, name):
    skipped = Counter()
    tables = read_tables(str(folder / name))
    return list(CocoScenes(tables, ImageFiles(str(folder))).scenes(skipped)), skipped


def test_images_and_objects_that_cannot_be_used_are_counted(folder):
    (scene,), skipped = scenes_of(folder, "instances.json")
    assert skipped == {"no_image": 1, "no_box": 1}
    assert [(known.name, known.box) for known in scene.objects] == [("dog", (1, 2, 3, 4))]
    assert scene.expressions == ()


def test_expressions_that_cannot_be_scored_are_counted(folder):
    (scene,), skipped = scenes_of(folder, "refs.json")
    assert scene.expressions == (Expression("say 8", 0),)
    assert skipped == {"no_target": 1, "unknown_annotation": 1}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "no_file_name"),
        ({"file_name": 3}, "no_file_name"),
        ({"file_name": "../a.png"}, "unsafe_name"),
        ({"file_name": "/etc/hostname"}, "unsafe_name"),
        ({"file_name": "a\0.png"}, "unsafe_name"),
        ({"file_name": "instances.json"}, "unknown_image_format"),
        ({"file_name": "a.png", "width": "40"}, "broken_size"),
    ],
)
def test_images_that_are_not_as_listed_are_counted(folder, record, reason):
    document = json.loads((folder / "instances.json").read_text())
    document["images"][0] = {"id": 1, **record}
    (folder / "instances.json").write_text(json.dumps(document))
    found, skipped = scenes_of(folder, "instances.json")
    assert found == []
    assert skipped == {reason: 1, "no_image": 1}


def test_images_lie_in_a_folder(folder):
    assert ImageFiles(str(folder)).open("a.png").size == (40, 20)
    with pytest.raises(BrokenSample, match="no_image: file_name is 'c.png'"):
        ImageFiles(str(folder)).open("c.png")
    with pytest.raises(InputError, match="which is no folder"):
        ImageFiles(str(folder / "a.png"))


def test_images_of_shards_that_share_a_key_are_not_guessed(folder, tmp_path):
    data = (folder / "a.png").read_bytes()
    write_shard(tmp_path / "shards" / "0.tar", [("x", {"png": data}), ("y", {"png": data})])
    write_shard(tmp_path / "shards" / "1.tar", [("x", {"png": data})])
    files = ImageFiles(str(tmp_path / "shards"))
    assert files.open("val/y.png").size == (40, 20)
    with pytest.raises(BrokenSample, match="ambiguous_image"):
        files.open("x.png")


def test_images_of_a_cut_shard_are_read_up_to_the_damage(folder, tmp_path):
    data = (folder / "a.png").read_bytes()
    file = tmp_path / "shards" / "0.tar"
    write_shard(file, [(f"{number}", {"png": data}) for number in range(4)])
    (tmp_path / "shards" / "0.index.parquet").unlink(missing_ok=True)
    file.write_bytes(file.read_bytes()[:2000])
    files = ImageFiles(str(tmp_path / "shards"))
    assert files.open("0.png").size == (40, 20)
    with pytest.raises(BrokenSample, match="no_image"):
        files.open("3.png")
