import io
import json

import pytest
from PIL import Image

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.labelled_images import LabelledStream, class_of


def jpeg(color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "JPEG")
    return file.getvalue()


def test_folders_are_classes(tmp_path):
    for name, files in {
        "red_car": ["b.JPG", "a.jpeg"],
        "cup": ["x.jpg"],
        "empty": [],
        "text": ["notes.md"],
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(jpeg("red"))
    stream = LabelledStream(str(tmp_path))
    assert stream.names == ["cup", "red car"]
    assert [(one.key, one.label) for one in stream] == [
        ("cup/x.jpg", 0),
        ("red_car/a.jpeg", 1),
        ("red_car/b.JPG", 1),
    ]
    (tmp_path / "names.json").write_text(json.dumps({"red_car": "crimson vehicle"}))
    assert LabelledStream(str(tmp_path), str(tmp_path / "names.json")).names == ["cup", "crimson vehicle"]


def test_numbers_are_sorted_as_numbers(tmp_path):
    samples = [
        (f"{n:03d}", {"jpg": jpeg("red"), "json": json.dumps({"class": n}).encode()}) for n in (10, 9, 1)
    ]
    write_shard(tmp_path / "0.tar", samples)
    stream = LabelledStream(str(tmp_path))
    assert stream.names == ["1", "9", "10"]
    assert [one.label for one in stream] == [2, 1, 0]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"class": "dog"}, "dog"),
        ({"class": 0}, "0"),
        ({"class": True}, None),
        ({"objects": [{"name": "cup"}]}, "cup"),
        ({"objects": [{"name": "cup"}, {"name": "dog"}]}, None),
        ({"objects": []}, None),
        ({"caption": "a dog"}, None),
    ],
)
def test_what_counts_as_a_class(metadata, expected):
    assert class_of(metadata) == expected


def test_names_that_are_no_table(tmp_path):
    (tmp_path / "cup").mkdir()
    (tmp_path / "cup" / "x.jpg").write_bytes(jpeg("red"))
    (tmp_path / "names.json").write_text('"cup"')
    with pytest.raises(InputError, match="is a str; give"):
        LabelledStream(str(tmp_path), str(tmp_path / "names.json"))
    with pytest.raises(InputError, match="is not there"):
        LabelledStream(str(tmp_path / "nowhere"))
