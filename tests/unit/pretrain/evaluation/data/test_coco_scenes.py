import json
from collections import Counter

import pytest
from PIL import Image

from data_filters.errors import InputError
from pretrain.evaluation.data.coco_scenes import ImageFiles, read_coco
from pretrain.evaluation.data.scene import Expression


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.png")
    document = {
        "images": [{"id": number, "file_name": name} for number, name in ((1, "a.png"), (2, "b.png"))],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cup"}],
        "annotations": [{"id": 8, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}],
    }
    refs = [{"image_id": 1, "ann_id": number, "sentences": [{"sent": f"say {number}"}]} for number in (8, 77)]
    (tmp_path / "instances.json").write_text(json.dumps(document))
    (tmp_path / "refs.json").write_text(json.dumps(refs))
    return tmp_path


def test_tables_are_joined_by_id(folder):
    tables = read_coco(str(folder / "instances.json"))
    assert tables.names == {2: "cup", 5: "dog"}
    skipped = Counter()
    (scene,) = tables.scenes(skipped)
    assert skipped == {"no_image": 1}
    # A category that no table names goes by its number.
    assert [(known.name, known.box) for known in scene.objects] == [("9", (1, 2, 3, 4))]
    assert scene.expressions == ()


def test_refs_to_unknown_annotations_are_left_out(folder):
    (scene,) = read_coco(str(folder / "refs.json")).scenes(Counter())
    assert scene.expressions == (Expression("say 8", 0),)


def test_images_lie_in_a_folder(folder):
    assert ImageFiles(str(folder)).open("a.png").size == (40, 20)
    assert ImageFiles(str(folder)).open("c.png") is None
    with pytest.raises(InputError, match="which is no folder"):
        ImageFiles(str(folder / "a.png"))
