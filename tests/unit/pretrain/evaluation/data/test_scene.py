from pretrain.evaluation.data.scene import TrueObject, read_objects


def test_objects_of_both_kinds_of_data_are_scaled_to_the_image():
    metadata = {"width": 80, "height": 60, "objects": [{"name": "cup", "box": [8, 6, 40, 30]}]}
    assert read_objects(metadata, 40, 20) == (TrueObject("cup", (4.0, 2.0, 20.0, 10.0)),)
    boxes = [{"category": "dog", "bbox": [1, 2, 3, 4], "iscrowd": 1}]
    assert read_objects({"boxes": boxes}, 40, 20) == (TrueObject("dog", (1, 2, 3, 4), True),)


def test_no_annotation_is_not_the_same_as_no_object():
    assert read_objects({}, 4, 4) is None
    assert read_objects({"objects": None}, 4, 4) is None
    assert read_objects({"objects": []}, 4, 4) == ()
