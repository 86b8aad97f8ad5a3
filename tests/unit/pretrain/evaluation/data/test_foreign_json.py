import math

import pytest

from data_filters.errors import InputError
from pretrain.evaluation.data.foreign_json import (
    identity_of,
    load_json,
    number_of,
    text_of,
    whole_number_of,
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "data '.*' is empty; give one"),
        (b" \n", "is empty; give one"),
        (b"{", "is no JSON .*; give one"),
        (b'{"a": "\xff"}', "is no JSON .*; give one"),
        (b"[" * 200_000, "is nested too deeply to be read; give one"),
        (b"1" * 5000, "is no JSON .*; give one"),
    ],
)
def test_what_is_no_json_is_one_line(tmp_path, content, said):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        load_json(str(file), "data", "give one")
    assert "\n" not in str(raised.value)


def test_what_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(InputError, match="data is '.*y.json', which is not there; give one"):
        load_json(str(tmp_path / "y.json"), "data", "give one")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\); give one"):
        load_json(str(tmp_path), "data", "give one")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_in_the_encodings_that_it_may_have(tmp_path, encoding):
    file = tmp_path / "x.json"
    file.write_text('{"é": 1}', encoding=encoding)
    assert load_json(str(file), "data", "") == {"é": 1}


def test_texts():
    assert text_of(" a ") == " a "
    assert [text_of(value) for value in ("", " \n", None, 3, ["a"], "\ud800")] == [None] * 6


def test_numbers_of_pixels():
    assert (number_of(3), number_of(-0.5), number_of(10_000_000)) == (3.0, -0.5, 1e7)
    for value in (True, "3", None, [3], math.nan, math.inf, 10**400, 2e7):
        assert number_of(value) is None


def test_whole_numbers_and_ids():
    assert [whole_number_of(value) for value in (3, 3.0, -1)] == [3, 3, -1]
    assert [whole_number_of(value) for value in (True, 3.5, "3", None, math.nan, math.inf)] == [None] * 6
    assert [identity_of(value) for value in (3, 3.0, "3")] == [3, 3, "3"]
    assert [identity_of(value) for value in (None, "", [3], {}, False)] == [None] * 5
