"""Examples: the first rejected pairs of each rule, each with a picture that Pillow opens."""

import base64
import io

import pytest
from curation import curate_one
from PIL import Image

from pipelines.curate import examples as examples_module
from pipelines.curate.config import CurateConfig
from pipelines.curate.examples import SHOWN, rejected_examples
from pipelines.curate.inputs import find_units
from pipelines.curate.pair_picture import CAPTION_SHOWN, THUMBNAIL
from pipelines.curate.plan import make_plan
from pipelines.shards.writer import write_shard


def encoded(width: int, height: int, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (10, 80, 160)).save(out, form)
    return out.getvalue()


EVERY = {"small_image": 99, "extreme_aspect": 99}
SAMPLES = [
    ("z", {"jpg": encoded(40, 30), "txt": b"one two three"}),
    ("broken", {"png": encoded(40, 10, "PNG").replace(b"IDATx", b"IDAT\0"), "txt": b"a b c"}),
    ("small", {"jpg": encoded(40, 20), "txt": b"a b c"}),
    ("small2", {"jpg": encoded(40, 19), "txt": b"a b c"}),
    ("long", {"jpg": encoded(600, 30), "txt": ("word " * 90).encode()}),
]


@pytest.fixture
def examples(tmp_path):
    """Curates SAMPLES and gives the examples of a recipe."""
    write_shard(tmp_path / "raw" / "0.tar", SAMPLES)
    (unit,) = find_units(str(tmp_path / "raw"))

    def run(count: int, **limits: object) -> list[dict]:
        config = CurateConfig(**{"min_side": 20, **limits})
        curate_one(unit, str(tmp_path / "out"), config)
        found = rejected_examples(str(tmp_path / "out"), make_plan(config), count, EVERY)
        return [example for of_rule in found.values() for example in of_rule]

    return run


def test_examples_are_the_first_rejected_with_a_picture(examples):
    first, _, example = examples(2)
    assert (first["key"], first["filter"]) == ("long", "extreme_aspect")
    assert (example["key"], example["filter"], example["value"], example["limit"]) == (
        "small",
        "small_image",
        "20",
        "20",
    )
    assert example["other"] is None
    with Image.open(io.BytesIO(base64.b64decode(example["picture"]))) as picture:
        assert picture.size == (40, 20)


def test_count_is_per_rule_and_in_the_order_of_the_shard(examples):
    assert [one["key"] for one in examples(1)] == ["long", "broken"]
    assert [one["key"] for one in examples(2)] == ["long", "broken", "small"]
    assert [one["key"] for one in examples(9)] == ["long", "broken", "small", "small2"]
    assert examples(1, min_side=0, max_aspect=100) == []
    assert examples(0) == []


def test_pictures_and_captions_are_cut_and_what_does_not_decode_has_none(examples):
    long, broken = examples(1)
    assert len(long["caption"]) == CAPTION_SHOWN
    with Image.open(io.BytesIO(base64.b64decode(long["picture"]))) as picture:
        assert max(picture.size) == THUMBNAIL
    assert (broken["caption"], broken["picture"]) == ("a b c", "")


def test_a_value_has_six_digits_at_most(examples):
    assert examples(1, min_side=0, max_aspect=7)[0]["value"] == "20"
    (ratio,) = [one for one in examples(9, min_side=0, max_aspect=2.1) if one["key"] == "small2"]
    assert ratio["value"] == "2.10526"


def test_a_changed_or_missing_shard_leaves_an_example_without_caption_and_picture(examples, tmp_path):
    config = CurateConfig(min_side=20)
    assert all(one["caption"] for one in examples(9))
    tar = tmp_path / "raw" / "0.tar"
    tar.write_bytes(tar.read_bytes())  # the same bytes, but nobody knows that
    for change in (lambda: None, tar.unlink):
        change()
        found = rejected_examples(str(tmp_path / "out"), make_plan(config), 9, EVERY)
        shown = [example for of_rule in found.values() for example in of_rule]
        assert [(one["key"], one["caption"], one["picture"]) for one in shown] == [
            ("long", "", ""),
            ("broken", "", ""),
            ("small", "", ""),
            ("small2", "", ""),
        ]


def test_shards_take_turns_and_a_rule_shows_a_dozen(tmp_path):
    config = CurateConfig(min_side=20)
    for shard in range(5):
        pairs = [(f"k{number}", {"jpg": encoded(40, 10), "txt": b"a b c"}) for number in range(10)]
        write_shard(tmp_path / "raw" / f"{shard}.tar", pairs)
    for unit in find_units(str(tmp_path / "raw")):
        curate_one(unit, str(tmp_path / "out"), config)
    shown = rejected_examples(str(tmp_path / "out"), make_plan(config), 3, EVERY)["small_image"]
    assert len(shown) == SHOWN
    assert [(one["shard"], one["key"]) for one in shown[:6]] == [
        *((f"{shard}.tar", "k0") for shard in range(5)),
        ("0.tar", "k1"),
    ]
    assert len(rejected_examples(str(tmp_path / "out"), make_plan(config), 1, EVERY)["small_image"]) == 5


def test_shards_are_looked_at_until_there_are_enough(tmp_path, monkeypatch):
    config = CurateConfig(min_side=20)
    for shard, count in enumerate((2, 20, 20)):
        pairs = [(f"k{number}", {"jpg": encoded(40, 10), "txt": b"a b c"}) for number in range(count)]
        write_shard(tmp_path / "raw" / f"{shard}.tar", pairs)
    for unit in find_units(str(tmp_path / "raw")):
        curate_one(unit, str(tmp_path / "out"), config)
    monkeypatch.setattr(examples_module, "CHUNK", 1)
    counted = {"small_image": 42, "extreme_aspect": 0}
    shown = rejected_examples(str(tmp_path / "out"), make_plan(config), 20, counted)["small_image"]
    assert {one["shard"] for one in shown} == {"0.tar", "1.tar"}
    assert len(shown) == SHOWN
    counted["extreme_aspect"] = 1  # which none of them has
    shown = rejected_examples(str(tmp_path / "out"), make_plan(config), 20, counted)["small_image"]
    assert {one["shard"] for one in shown} == {"0.tar", "1.tar", "2.tar"}


def test_what_cannot_be_read_is_left_out(examples, tmp_path):
    config = CurateConfig(min_side=20)
    examples(9)
    assert rejected_examples(str(tmp_path / "elsewhere"), make_plan(config), 3, EVERY) == {}
    (tmp_path / "out" / "status" / "0.parquet").write_bytes(b"PAR1")
    assert rejected_examples(str(tmp_path / "out"), make_plan(config), 3, EVERY) == {}
    (tmp_path / "out" / "decisions" / "0.parquet").write_bytes(b"")
    assert rejected_examples(str(tmp_path / "out"), make_plan(config), 3, EVERY) == {}
