"""Columns of JSON fields, by hand."""

import math
import pickle

from data_filters import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.fields import FieldScores


def pair(**metadata: object) -> Facts:
    return Facts(ImageHeader(3, 4, "png"), "a caption", b"", metadata)


def test_text_number_and_fault_of_each_pair():
    group = pickle.loads(pickle.dumps(FieldScores("a.b")))
    found = group.measure([pair(a={"b": 3}), pair(), pair(a={"b": [1]}), pair(a={"b": "x"})])
    assert found.schema == group.schema()
    rows = found.to_pydict()
    assert rows["field-a.b.text"] == ["3", None, None, "x"]
    assert rows["field-a.b.fault"] == ["", "", "a list, neither text nor number", ""]
    numbers = rows["field-a.b.number"]
    assert numbers[0] == 3
    assert all(math.isnan(number) for number in numbers[1:])


def test_hosts_are_a_group_of_their_own():
    group = FieldScores("url", host=True)
    found = group.measure([pair(url="https://A.example.com/x"), pair(url=7)])
    assert found.to_pydict()["host-url.text"] == ["a.example.com", None]
    assert group.settings() != FieldScores("url").settings()
    assert group.name != FieldScores("url").name


def test_paths_that_make_poor_file_names_stand_as_their_hash():
    names = {
        FieldScores(path).name for path in ("license", "License", "a/b", "..", "x" * 99, "é", "\ud800", "")
    }
    assert len(names) == 8
    assert all(name.isascii() and "/" not in name and len(name) < 70 for name in names)
    assert not any("License" in name for name in names)  # some file systems tell no case


def test_no_pairs_make_no_rows():
    assert FieldScores("url").measure([]).num_rows == 0
