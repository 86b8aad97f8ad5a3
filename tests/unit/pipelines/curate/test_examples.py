"""Examples: the first rejected pairs of each filter by key, each with a picture that Pillow opens."""

import base64
import io
import json

import pytest
from curation import judged, scanned
from PIL import Image

from pipelines.curate.config import CurateConfig
from pipelines.curate.examples import CAPTION_SHOWN, THUMBNAIL, write_examples
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.shards.writer import write_shard


def encoded(width: int, height: int, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (10, 80, 160)).save(out, form)
    return out.getvalue()


SAMPLES = [
    ("z", {"jpg": encoded(40, 30), "txt": b"one two three"}),
    ("small", {"jpg": encoded(40, 20), "txt": b"a b c"}),
    ("small2", {"jpg": encoded(40, 19), "txt": b"a b c"}),
    ("long", {"jpg": encoded(600, 30), "txt": ("word " * 90).encode()}),
    ("broken", {"png": encoded(40, 10, "PNG").replace(b"IDATx", b"IDAT\0"), "txt": b"a b c"}),
]


@pytest.fixture
def write(tmp_path):
    """Writes the examples of SAMPLES and reads them back; None without a file."""
    write_shard(tmp_path / "raw" / "0.tar", SAMPLES)
    (unit,) = find_units(str(tmp_path / "raw"))
    found = scanned(unit)

    def run(count: int, **limits: object) -> list[dict] | None:
        config = CurateConfig(**{"min_side": 20, **limits})
        write_examples(found, judged(found, config), make_plan(config), str(tmp_path / "out"), count)
        file = tmp_path / "out" / "examples" / "0.json"
        return json.loads(file.read_bytes()) if file.exists() else None

    return run


def test_examples_are_the_first_rejected_with_a_picture(write):
    first, _, example = write(2)
    assert (first["key"], first["filter"]) == ("long", "extreme_aspect")
    assert (example["key"], example["filter"], example["value"], example["limit"]) == (
        "small",
        "small_image",
        "20",
        "20",
    )
    with Image.open(io.BytesIO(base64.b64decode(example["picture"]))) as picture:
        assert picture.size == (40, 20)


def test_count_is_per_filter_and_by_key(write):
    assert [one["key"] for one in write(1)] == ["long", "broken"]
    assert [one["key"] for one in write(2)] == ["long", "broken", "small"]


def test_pictures_and_captions_are_cut_and_what_does_not_decode_has_none(write):
    long, broken = write(1)
    assert len(long["caption"]) == CAPTION_SHOWN
    with Image.open(io.BytesIO(base64.b64decode(long["picture"]))) as picture:
        assert max(picture.size) == THUMBNAIL
    assert broken["picture"] == ""


def test_a_file_of_an_earlier_run_goes_when_there_is_nothing_to_show(write):
    assert write(1) is not None
    assert write(1, min_side=0, max_aspect=100) is None
    assert write(0) is None


def test_members_that_cannot_be_read_any_more_leave_an_example_without_them(write, tmp_path):
    tar = tmp_path / "raw" / "0.tar"
    data = tar.read_bytes()
    at = data.index(b"a b c")
    tar.write_bytes(data[:at] + b"\xff b c" + data[at + 5 :])
    assert [bool(example["caption"]) for example in write(2)].count(False) == 1
    tar.write_bytes(b"")
    assert {(example["caption"], example["picture"]) for example in write(2)} == {("", "")}
