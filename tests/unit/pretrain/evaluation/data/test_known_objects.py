import json

import pytest

from data_filters.sample import BrokenSample
from pretrain.evaluation.data.known_objects import object_names, read_box, read_objects
from pretrain.evaluation.data.scene import TrueObject


def test_objects_of_both_kinds_of_data_are_scaled_to_the_image():
    metadata = {"width": 80, "height": 60, "objects": [{"name": "cup", "box": [8, 6, 40, 30]}]}
    assert read_objects(metadata, 40, 20).objects == (TrueObject("cup", (4.0, 2.0, 20.0, 10.0)),)
    boxes = [{"category": "dog", "bbox": [1, 2, 3, 4], "iscrowd": 1}]
    assert read_objects({"boxes": boxes}, 40, 20).objects == (TrueObject("dog", (1, 2, 3, 4), True),)


def test_no_annotation_is_not_the_same_as_no_object():
    assert read_objects({}, 4, 4) is None
    assert read_objects({"objects": None}, 4, 4) is None
    assert read_objects({"objects": []}, 4, 4).objects == ()


BOXES = {
    "null": "no_box",
    '"1,2,3,4"': "broken_box",
    '["1", "2", "3", "4"]': "broken_box",
    "[1, 2, 3]": "broken_box",
    "[1, 2, 3, 4, 5]": "broken_box",
    "[1, 2, NaN, 4]": "broken_box",
    "[1, 2, Infinity, 4]": "broken_box",
    "[1, 2, 1e308, 4]": "broken_box",
    f"[1, 2, 1{'0' * 400}, 4]": "broken_box",
    "[true, 2, 3, 4]": "broken_box",
    '{"x": 1}': "broken_box",
    "[1, 2, 0, 4]": "empty_box",
    "[9, 9, -3, 4]": "empty_box",
    "[40, 2, 3, 4]": "box_outside",
    "[-5, 2, 5, 4]": "box_outside",
    "[1, -20, 3, 4]": "box_outside",
}


@pytest.mark.parametrize(("box", "reason"), BOXES.items())
def test_objects_without_a_usable_box_are_counted_and_the_others_keep_their_numbers(box, reason):
    objects = json.loads(f'[{{"name": "cup", "box": {box}}}, {{"name": "dog", "box": [1, 2, 3, 4]}}]')
    known = read_objects({"objects": objects}, 40, 20)
    assert known.objects == (TrueObject("dog", (1, 2, 3, 4)),)
    assert known.places == {1: 0}
    assert known.unusable == {reason: 1}


def test_a_box_that_the_edge_of_the_image_cuts_stays_as_it_is():
    assert read_objects({"objects": [{"name": "cup", "box": [-2, 15, 10, 10]}]}, 40, 20).objects[0].box == (
        -2,
        15,
        10,
        10,
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"bbox": [1, 2, 3, 4]}, "no_name"),
        ({"bbox": [1, 2, 3, 4], "category": " "}, "no_name"),
        ({"bbox": [1, 2, 3, 4], "category": "\ud800"}, "no_name"),
        ({"bbox": [1, 2, 3, 4], "category": ["cup"]}, "no_name"),
        ({"bbox": [1, 2, 3, 4], "category": "cup", "iscrowd": "yes"}, "broken_crowd"),
        ({"bbox": [1, 2, 3, 4], "category": "cup", "iscrowd": 2}, "broken_crowd"),
        ("cup", "broken_object"),
    ],
)
def test_objects_without_a_name_or_of_another_type_are_counted(row, reason):
    known = read_objects({"boxes": [row]}, 40, 20)
    assert (known.objects, known.unusable) == ((), {reason: 1})


def test_names_are_those_of_all_objects_with_a_name():
    rows = [{"category": "cup"}, {"category": 7, "bbox": [1, 2, 3, 4]}, {"category": ""}, None]
    assert list(object_names({"boxes": rows})) == ["cup", "7"]


@pytest.mark.parametrize("width", ["40", -1, True, [40], float("nan"), 0.5, 1e300])
def test_a_size_that_is_no_number_of_pixels_is_refused(width):
    with pytest.raises(BrokenSample) as raised:
        read_objects({"width": width, "height": 20, "objects": []}, 40, 20)
    assert raised.value.reason == "broken_size"


@pytest.mark.parametrize("width", [None, 0])
def test_without_a_size_boxes_are_in_pixels_of_the_image(width):
    metadata = {"width": width, "objects": [{"name": "cup", "box": [1, 2, 3, 4]}]}
    assert read_objects(metadata, 40, 20).objects[0].box == (1, 2, 3, 4)


def test_a_box_says_what_was_expected():
    with pytest.raises(BrokenSample, match=r"box is \[1\]; expected \[left, top, width, height\] in px"):
        read_box([1])
