import contextlib
import io

import numpy as np
from PIL import Image
from pycocotools.coco import COCO

from pretrain.evaluation.data.coco_instances import InstancesWriter
from pretrain.evaluation.data.scene import Scene, TrueObject
from pretrain.evaluation.data.scenes import SceneStream


def test_both_files_are_read_by_pycocotools_and_by_us(tmp_path):
    objects = (TrueObject("dog", (1, 2, 3, 4)), TrueObject("cup", (5.0, 6.5, 7, 8), True))
    image = Image.new("RGB", (40, 30))
    writer = InstancesWriter(["cup", "dog"])
    writer.add(
        Scene("a", image, objects, ()),
        np.array([[1, 1, 2, 2.5]]),
        np.array([0.5]),
        np.array([1]),
        np.array([1, 0]),
    )
    writer.add(Scene("b", image, (), ()), np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    writer.write(str(tmp_path))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "ground_truth.json"))
        found = truth.loadRes(str(tmp_path / "detections.json"))
    names = {number: one["name"] for number, one in truth.cats.items()}
    read = [
        (names[one["category_id"]], tuple(one["bbox"]), bool(one["iscrowd"]))
        for one in truth.loadAnns(truth.getAnnIds())
    ]
    assert sorted(read) == sorted((one.name, one.box, one.crowd) for one in objects)
    (only,) = found.loadAnns(found.getAnnIds())
    assert (names[only["category_id"]], only["bbox"], only["score"]) == ("dog", [1, 1, 2, 2.5], 0.5)
    for key in ("a", "b"):
        image.save(tmp_path / key, "PNG")
    again = list(SceneStream(str(tmp_path / "ground_truth.json")))
    assert [scene.objects for scene in again] == [objects, ()]
