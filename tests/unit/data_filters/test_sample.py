"""The sample: what is read, what is carried along, what is broken. And that this room needs no ray and no torch."""

import json
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters import sample
from data_filters.sample import (
    BrokenSample,
    dump_metadata,
    members_read,
    metadata_member,
    parse_metadata,
    sample_from_members,
    what_is_missing,
)


def test_caption_comes_from_txt_before_json_and_is_not_touched():
    members = {"jpg": b"I", "txt": b"  two  words\n", "json": b'{"caption": "other"}', "seg.png": b"S"}
    sample = sample_from_members("a/1", members)
    assert sample.caption == "  two  words\n"
    assert (sample.image, sample.image_extension) == (b"I", "jpg")
    assert sample.metadata == {"caption": "other"}
    assert sample.extras == {"seg.png": b"S"}


def test_caption_from_json_when_there_is_no_txt():
    assert sample_from_members("1", {"json": '{"caption": "żółw"}'.encode()}).caption == "żółw"
    assert sample_from_members("1", {"json": b'{"caption": null}'}).caption is None
    assert sample_from_members("1", {"jpg": b""}).caption is None


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        ({"png": b"p", "jpg": b"j"}, "jpg"),
        ({"JPEG": b"J", "webp": b"w"}, "jpeg"),
        ({"gif": b"g"}, None),
    ],
)
def test_image_is_the_first_known_extension_in_any_case(members, chosen):
    sample = sample_from_members("1", members)
    assert sample.image_extension == chosen
    assert set(sample.extras.values()) == set(members.values()) - {sample.image}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [([], None), (["jpg", "seg.json"], None), (["txt", "JSON"], "JSON"), (["Json", "json"], "Json")],
)
def test_metadata_is_the_first_json_in_any_case(names, chosen):
    assert metadata_member(names) == chosen


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"txt": b"caf\xe9"}, "caption_not_utf8"),
        ({"json": b'{"caption": "\\ud800"}'}, "caption_not_utf8"),
        ({"json": b"{"}, "metadata_not_json"),
        ({"json": b"[1]"}, "metadata_not_json"),
        ({"json": b"\xff"}, "metadata_not_json"),
        ({"json": b"[" * 100_000}, "metadata_not_json"),
    ],
)
def test_unreadable_parts_are_broken_samples(members, reason):
    with pytest.raises(BrokenSample) as raised:
        sample_from_members("1", members)
    assert raised.value.reason == reason


def test_metadata_survives_a_round_trip():
    text = '{"z": 1.5, "a": "żółw \\u2028", "lone": "\\ud800", "big": 123456789012345678901234567890}'
    assert json.loads(dump_metadata(parse_metadata(text.encode()))) == json.loads(text)
    assert list(json.loads(dump_metadata({"z": 1, "a": 2}))) == ["z", "a"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": ' + "[" * 99 + "]" * 99 + "}",
        '{"a": "' + "[{" * 500 + '\\\\\\"[[["}',
        '{"a": [' + "[]," * 500 + "{}]}",
    ],
)
def test_brackets_count_where_they_nest(text):
    assert json.loads(dump_metadata(parse_metadata(text.encode()))) == json.loads(text)
    assert parse_metadata(text.encode("utf-16")) == json.loads(text)


def test_a_level_more_is_too_deep():
    with pytest.raises(BrokenSample, match="metadata_not_json: nested deeper than 100 levels"):
        parse_metadata(('{"a": ' + "[" * 100 + "]" * 100 + "}").encode())


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["jpg", "png", "txt", "json", "cls"], {"jpg", "txt", "json"}),
        (["TXT", "txt", "JPG", "mp4"], {"TXT", "JPG"}),
        (["input.jpg"], set()),
    ],
)
def test_what_is_read_is_what_the_sample_is_made_of(names, read):
    assert members_read(names) == read
    members = dict.fromkeys(names, b'{"a": 1}')
    assert set(sample_from_members("k", members).extras) == set(names) - read


@pytest.mark.parametrize(
    ("members", "metadata", "said"),
    [
        (["output.txt", "input.jpg"], None, "members are input.jpg, output.txt; an image is read from k.jpg"),
        (["jpg", "caption"], None, "members are caption, jpg; a caption is read from k.txt"),
        (["jpg", "JSON"], {"caption": True}, "caption in k.JSON is true or false; expected text"),
        (["jpg", "json"], {"TEXT": "a"}, "k.json has no field `caption` (its fields: TEXT)"),
        (["jpg", "json"], {}, "k.json has no field `caption` (its fields: none)"),
    ],
)
def test_what_is_missing_is_said(members, metadata, said):
    assert what_is_missing("k", members, metadata).startswith(said)


def test_importing_the_package_loads_no_imaging_and_no_table_library():
    program = (
        "import sys, data_filters; "
        "bad = {'numpy', 'PIL', 'simplejpeg', 'imagesize', 'pyarrow', 'spacy', 'xxhash', 'pydantic'}; "
        "print(sorted(bad & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_room_loads_neither_ray_nor_torch():
    program = (
        "import sys, data_filters.sample, data_filters.image, data_filters.text, "
        "data_filters; "
        "bad = {'ray', 'torch', 'deepspeed', 'transformers', 'pipelines', 'pretrain', 'cluster'}; "
        "print(sorted(bad & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def outcome(data: bytes) -> object:
    """What is read, told apart from anything equal to it (1, 1.0 and true), or the reason."""
    try:
        return repr(parse_metadata(data))
    except BrokenSample as broken:
        return broken.reason, broken.detail


def by_the_standard_library(data: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_DECODER", Refuses())
        return outcome(data)


class Refuses:
    def decode(self, data: bytes) -> object:
        raise msgspec.DecodeError


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
OBJECTS = st.builds(
    lambda fields, plain: json.dumps(fields, ensure_ascii=plain).encode("utf-8", "surrogatepass"),
    st.dictionaries(st.text(), VALUES),
    st.booleans(),
)


@given(OBJECTS, st.integers(0, 400), st.binary(max_size=3))
def test_the_fast_parser_reads_what_the_standard_one_reads(data, place, other):
    assert outcome(data) == by_the_standard_library(data)
    damaged = data[: place % len(data)] + other + data[place % len(data) :][1:]
    assert outcome(damaged) == by_the_standard_library(damaged)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 18446744073709551616}',
        '{"a": -9223372036854775809}',
        '{"a": 1E400}',
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": 1, "a": 2}',
        '{"a": -0}',
        '{"a": 01}',
        '{"a": 1}\0',
        '{"a": "\t"}',
        '{"a": 1} 2',
        "{}",
        "{",
        "[]",
    ],
)
def test_numbers_and_faults_are_those_of_the_standard_parser(text):
    assert outcome(text.encode()) == by_the_standard_library(text.encode())
