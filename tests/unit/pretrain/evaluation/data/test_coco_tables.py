import json

import pytest

from data_filters.errors import InputError
from pretrain.evaluation.data.coco_tables import Reference, read_tables

IMAGES = [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}]
CATEGORIES = [{"id": 5, "name": "dog"}, {"id": 2, "name": "cup"}]
GOOD = {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4]}


@pytest.fixture
def tables(tmp_path):
    """Writes instances.json of these tables, and refs.json where given; returns what is read."""

    def read(refs=None, split=None, **changed):
        document = {"images": IMAGES, "categories": CATEGORIES, "annotations": [GOOD]} | changed
        (tmp_path / "instances.json").write_text(json.dumps(document))
        if refs is None:
            return read_tables(str(tmp_path / "instances.json"), split)
        (tmp_path / "refs.json").write_text(json.dumps(refs))
        return read_tables(str(tmp_path / "refs.json"), split)

    return read


def test_tables_are_joined_by_id(tables):
    read = tables()
    assert list(read.names.items()) == [(2, "cup"), (5, "dog")]
    assert list(read.images) == [7, 9]
    assert read.annotations == {7: [GOOD]}
    assert read.references is None


def test_numbers_without_fraction_are_the_same_id(tables):
    assert list(tables(annotations=[{**GOOD, "image_id": 7.0, "category_id": 5.0}]).annotations) == [7]


def test_annotations_need_no_id_of_their_own(tables):
    without = {key: value for key, value in GOOD.items() if key != "id"}
    assert len(tables(annotations=[without, without]).annotations[7]) == 2


def test_annotations_of_images_that_are_not_listed_are_counted(tables):
    read = tables(annotations=[GOOD, {**GOOD, "id": 2, "image_id": 8}, {**GOOD, "id": 3, "image_id": "7"}])
    assert read.unusable == {"unknown_image": 2}


def test_entries_that_are_listed_twice_count_once(tables):
    assert list(tables(images=[*IMAGES, IMAGES[0]]).images) == [7, 9]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"annotations": None}, "is not in COCO's format: it has no list 'annotations'"),
        ({"images": {"7": "a.png"}}, "it has no list 'images'"),
        ({"images": ["a.png"]}, r"images\[0\] is a str; expected an object"),
        ({"images": [{"file_name": "a.png"}]}, r"images\[0\] has the id None"),
        (
            {"images": [*IMAGES, {**IMAGES[0], "file_name": "c.png"}]},
            r"images\[2\] \(id 7\) has the id of another",
        ),
        (
            {"categories": [*CATEGORIES, {"id": 5, "name": "cat"}]},
            r"categories\[2\] \(id 5\) has the id of another",
        ),
        ({"categories": [{"id": 5}]}, "category 5 has the name None; expected a text"),
        ({"categories": [{"id": 5, "name": " "}]}, "category 5 has the name ' '"),
        ({"categories": [{"id": 5, "name": ["dog"]}]}, "category 5 has the name"),
        ({"annotations": [GOOD, None]}, r"annotations\[1\] is a NoneType; expected an object"),
        (
            {"annotations": [GOOD, {**GOOD, "bbox": [2, 2, 2, 2]}]},
            r"annotations\[1\] \(id 1\) has the id 1, which an",
        ),
        (
            {"annotations": [{**GOOD, "id": [1]}]},
            r"annotations\[0\] \(id \[1\]\) has the id \[1\], which is no id",
        ),
        (
            {"annotations": [{"id": 4, "bbox": [1, 2, 3, 4]}]},
            r"annotations\[0\] \(id 4\) has the image_id None",
        ),
        (
            {"annotations": [{**GOOD, "category_id": 77}]},
            r"\(id 1\) has the category_id 77, which `categories`",
        ),
        ({"annotations": [{**GOOD, "category_id": None}]}, r"\(id 1\) has the category_id None, which"),
        ({"annotations": [{**GOOD, "category_id": [5]}]}, r"\(id 1\) has the category_id \[5\], which"),
        ({"annotations": [{**GOOD, "category_id": "5"}]}, r"\(id 1\) has the category_id '5', which"),
    ],
)
def test_entries_that_cannot_be_joined_are_named(tables, changed, said):
    with pytest.raises(InputError, match=said) as raised:
        tables(**changed)
    assert "instances.json" in str(raised.value)
    assert "\n" not in str(raised.value)


def ref(image=7, annotation=1, split="val", sentences=({"sent": "the dog"},)):
    return {"image_id": image, "ann_id": annotation, "split": split, "sentences": list(sentences)}


def test_expressions_by_image(tables):
    read = tables([ref(), ref(8), ref(split="test", sentences=[{"raw": "it"}, {"sent": "", "raw": "that"}])])
    assert list(read.images) == [7]
    assert read.references[7] == [Reference(1, text) for text in ("the dog", "it", "that")]
    assert read.unusable == {"unknown_image": 1}
    assert tables([ref(), ref(split="test", sentences=[{"raw": "it"}])], "test").references == {
        7: [Reference(1, "it")]
    }


def test_expressions_need_no_categories(tables):
    assert tables([ref()], categories=[]).names == {}


@pytest.mark.parametrize(
    ("refs", "said"),
    [
        ([], "has no expression"),
        ([ref(), "the dog"], "is a list, but entry 1 is not"),
        ([{**ref(), "ann_id": None}], "is a list, but entry 0 is not"),
        ([{**ref(), "sentences": "the dog"}], "is a list, but entry 0 is not"),
        ([ref(sentences=[{"sent": 3}])], "entry 0 has the sentence .* expected {sent} or {raw} with a text"),
        ([ref(sentences=["the dog"])], "entry 0 has the sentence 'the dog'"),
    ],
)
def test_refs_that_are_none_are_named(tables, refs, said):
    with pytest.raises(InputError, match=said):
        tables(refs)


def test_a_split_is_one_of_the_refs(tables):
    with pytest.raises(InputError, match="split is 'train'; .* has test, val"):
        tables([ref(), ref(split="test")], "train")
    with pytest.raises(InputError, match="split is 'val', but data '.*' has no splits; leave it out"):
        tables(split="val")


def test_refs_without_instances_beside_them(tmp_path):
    (tmp_path / "refs.json").write_text(json.dumps([ref()]))
    with pytest.raises(
        InputError, match="the annotations of the refs in data is '.*instances.json', which is not there"
    ):
        read_tables(str(tmp_path / "refs.json"))
