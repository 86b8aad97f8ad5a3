import io
import json
import os
from itertools import islice

import pytest
from PIL import Image

from data_filters.errors import InputError
from pipelines.shards.reader import walk
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.labelled_images import LabelledStream, class_of
from pretrain.evaluation.data.scenes import SceneStream


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
    assert stream.skipped == {"empty_folder": 2}
    (tmp_path / "names.json").write_text(json.dumps({"red_car": "crimson vehicle", "cup": "cup"}))
    assert LabelledStream(str(tmp_path), str(tmp_path / "names.json")).names == ["cup", "crimson vehicle"]


@pytest.mark.parametrize("name", ["set [v1]", "a::b", "day=1*"])
def test_a_folder_is_read_by_its_name_whatever_its_characters(tmp_path, name):
    (tmp_path / name / "cup").mkdir(parents=True)
    (tmp_path / name / "cup" / "x.jpg").write_bytes(jpeg("red"))
    (tmp_path / name / "names.json").write_text('["mug"]')
    stream = LabelledStream(str(tmp_path / name), str(tmp_path / name / "names.json"))
    assert [stream.names[one.label] for one in stream] == ["mug"]


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
        ({"class": 3.0}, "3"),
        ({"class": 3.5}, None),
        ({"class": -1}, None),
        ({"class": " "}, None),
        ({"class": ["dog"]}, None),
        ({"objects": [{"name": ["cup"]}]}, None),
        ({"objects": [{"name": "\ud800"}]}, None),
        ({"objects": ["cup"]}, None),
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


def test_files_that_are_no_images_are_counted_and_hidden_ones_are_not_looked_at(tmp_path):
    (tmp_path / "cup").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("x.jpg", "y.jpg", "notes.txt", "z.bmp", ".DS_Store"):
        (tmp_path / "cup" / name).write_bytes(jpeg("red"))
    (tmp_path / "cup" / "y.jpg").write_bytes(b"no picture")
    stream = LabelledStream(str(tmp_path))
    assert [one.key for one in stream] == ["cup/x.jpg"]
    assert stream.skipped == {"other_file": 2, "unknown_image_format": 1}


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / "cup").mkdir()
    file = os.path.join(os.fsencode(tmp_path), b"cup", b"caf\xe9.jpg")
    with open(file, "wb") as out:
        out.write(jpeg("red"))
    (one,) = LabelledStream(str(tmp_path))
    assert one.key == "cup/caf\ufffd.jpg"
    os.rename(tmp_path / "cup", os.path.join(os.fsencode(tmp_path), b"caf\xe9"))
    with pytest.raises(InputError, match="the class folder 'caf\ufffd', whose name is not UTF-8"):
        LabelledStream(str(tmp_path))


def test_what_was_passed_over_is_counted_though_the_rest_is_not_read(tmp_path):
    label = json.dumps({"class": "cup"}).encode()
    pictures = [b"no picture", jpeg("red"), jpeg("red"), b"no picture either"]
    write_shard(
        tmp_path / "0.tar", [(f"{n}", {"jpg": data, "json": label}) for n, data in enumerate(pictures)]
    )
    stream = LabelledStream(str(tmp_path))
    assert [one.key for one in islice(stream, 1)] == ["1"]
    assert stream.skipped == {"unknown_image_format": 1}
    scenes = SceneStream(str(tmp_path))
    assert list(islice(scenes, 1)) == []
    assert scenes.skipped == {"unknown_image_format": 2, "no_boxes": 2}


def test_metadata_in_capital_letters_and_a_cut_shard(tmp_path):
    samples = [
        (f"{n:03d}", {"jpg": jpeg("red"), "JSON": json.dumps({"class": n % 2}).encode()}) for n in range(6)
    ]
    write_shard(tmp_path / "0.tar", samples)
    fourth = [member for member in walk(tmp_path / "0.tar") if member.key == "003"]
    (tmp_path / "0.tar").write_bytes((tmp_path / "0.tar").read_bytes()[: fourth[0].offset + 9])
    (tmp_path / "0.index.parquet").unlink(missing_ok=True)
    stream = LabelledStream(str(tmp_path))
    found = [one.key for one in stream]
    assert stream.names == ["0", "1"]
    assert found == ["000", "001", "002"]
    assert stream.skipped == {"broken_shard": 3}, "nothing tells how many there were: as many as were found"
