"""COCO's format with one annotation that does not fit: named with exit code 2, or counted; the others are scored."""

import json

import pytest
from random_export import random_export
from raw_shards import picture

from data_filters.errors import InputError
from pretrain.evaluation.runner import run_evaluation

GOOD = {"id": 1, "image_id": 7, "category_id": 90, "bbox": [5, 5, 30, 30], "iscrowd": 0}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return random_export(tmp_path_factory.mktemp("run"))


@pytest.fixture
def detect(export, tmp_path):
    """The metrics of a detection on one image with the good annotation and another one."""

    def run(annotation):
        (tmp_path / "a.jpg").write_bytes(picture(80, 60))
        document = {
            "images": [{"id": 7, "file_name": "a.jpg", "width": 80, "height": 60}],
            "categories": [{"id": 90, "name": "toothbrush"}],
            "annotations": [GOOD, annotation],
        }
        (tmp_path / "i.json").write_text(json.dumps(document))
        return run_evaluation("detection", export, tmp_path / "i.json", options={"proposals": "saliency"})

    return run


def without(key):
    return {name: value for name, value in GOOD.items() if name != key} | ({"id": 2} if key != "id" else {})


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (without("bbox"), "no_box"),  # keypoints, segments
        ({**GOOD, "id": 2, "bbox": None}, "no_box"),
        ({"id": 2, "image_id": 7, "caption": "a man"}, "no_box"),
        ({**GOOD, "id": 2, "bbox": [5, 5, 0, 30]}, "empty_box"),
        ({**GOOD, "id": 2, "bbox": ["5", "5", "30", "30"]}, "broken_box"),
        ({**GOOD, "id": 2, "bbox": [500, 5, 30, 30]}, "box_outside"),
        ({**GOOD, "id": 2, "image_id": 8}, "unknown_image"),
    ],
)
def test_what_has_no_usable_box_is_counted(detect, annotation, reason):
    metrics = detect(annotation)
    assert metrics["skipped"] == {reason: 1}
    assert (metrics["images"], metrics["objects"]) == (1, 1)


def test_an_annotation_without_an_id_of_its_own_is_scored(detect):
    metrics = detect(without("id"))
    assert (metrics["objects"], metrics["skipped"]) == (2, {})


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (
            {**GOOD, "id": 2, "category_id": 77},
            r"annotations\[1\] \(id 2\) has the category_id 77, which `categories`",
        ),
        (without("category_id"), r"annotations\[1\] \(id 2\) has the category_id None"),
        (without("image_id"), r"annotations\[1\] \(id 2\) has the image_id None"),
        (
            {**GOOD, "bbox": [1, 1, 3, 3]},
            r"annotations\[1\] \(id 1\) has the id 1, which another annotation has",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(detect, annotation, said):
    with pytest.raises(InputError, match=said):
        detect(annotation)
