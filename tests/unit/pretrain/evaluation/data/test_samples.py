import json
from pathlib import Path

import numpy as np
import pytest
from raw_shards import picture

from data_filters.errors import InputError
from data_filters.sample import Sample
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.samples import (
    SampleStream,
    captions_of,
    count_pairs,
    find_shards,
    iterate_metadata,
)


def sample(caption=None, metadata=None):
    return Sample("key", b"", "png", caption, metadata)


def test_captions_are_all_those_of_the_json_else_the_one():
    assert captions_of(sample("a dog", {"captions": ["one", "two", " ", 3]})) == ("one", "two")
    assert captions_of(sample("a dog", {"caption": "a cat"})) == ("a dog",)
    assert captions_of(sample("  \n", {})) == ()
    assert captions_of(sample(None, None)) == ()


def test_raw_shards_are_read_in_order_and_what_lacks_a_caption_is_counted(shards):
    stream = SampleStream(shards)
    pictures = list(stream)
    assert [int(picture.key) for picture in pictures] == [n for n in range(15) if n not in (4, 11)]
    assert [len(picture.captions) for picture in pictures[:4]] == [1, 2, 3, 1]
    assert pictures[0].image.size == (20, 24)
    assert stream.skipped == {"no_caption": 2}


def test_captions_of_a_list_that_are_no_texts_are_counted(shards):
    for captions, lost in ((["a dog", None, " ", "\ud800", 3], 4), (["a dog"], 0)):
        members = {"png": picture(), "json": json.dumps({"captions": captions}).encode()}
        write_shard(Path(shards) / "00000.tar", [("a", members)])
        stream = SampleStream(f"{shards}/00000.tar")
        (one,) = stream
        assert one.captions == ("a dog",)
        assert stream.skipped == ({"broken_caption": lost} if lost else {})


def test_metadata_that_is_nested_too_deeply_is_passed_over(shards):
    deep = b'{"a": ' * 100_000 + b"1" + b"}" * 100_000
    write_shard(Path(shards) / "00000.tar", [("a", {"json": deep}), ("b", {"json": b'{"class": 3}'})])
    assert list(iterate_metadata([f"{shards}/00000.tar"])) == [{"class": 3}]


def test_an_index_that_cannot_be_read_is_not_used(shards):
    write_shard(Path(shards) / "00000.tar", [("b", {"json": b'{"class": 3}'})])
    Path(shards, "00000.index.parquet").write_bytes(b"PAR1 no more")
    assert list(iterate_metadata([f"{shards}/00000.tar"])) == [{"class": 3}]


def test_pairs_are_counted_without_reading_them(shards):
    assert count_pairs(shards) == 15  # blank captions are noticed when they are read
    write_shard(
        Path(shards) / "00000.tar",
        [("a", {"json": b"{}"}), ("b", {"JPG": b""}), ("c", {"png": b"", "txt": b""})],
    )
    assert count_pairs(f"{shards}/00000.tar") == 1


def test_only_what_a_manifest_names_is_read(shards):
    folder = Path(shards) / "manifests"
    folder.mkdir()
    outputs = [{"tar": "00001.tar", "index": "00001.index.parquet", "samples": 8, "sha256": "x"}]
    (folder / "00001.json").write_text(json.dumps({"version": 1, "outputs": outputs}))
    assert find_shards(shards) == [f"{shards}/00001.tar"]
    (folder / "00001.json").write_text(json.dumps({"version": 1, "outputs": []}))
    with pytest.raises(InputError, match="name no shard"):
        find_shards(shards)


def test_one_tar_can_be_given(shards):
    assert [int(picture.key) for picture in SampleStream(f"{shards}/00001.tar")][:2] == [7, 8]


def test_broken_images_and_cut_tars_are_passed_over_and_counted(shards):
    good = (Path(shards) / "00000.tar").read_bytes()
    members = {"png": b"\x89PNG no picture", "txt": b"a red dog"}
    write_shard(Path(shards) / "00000.tar", [("broken", members), ("nothing", {"txt": b"no image at all"})])
    (Path(shards) / "00002.tar").write_bytes(good[: len(good) // 2])
    (Path(shards) / "00002_stats.json").write_text('{"successes": 7}')
    stream = SampleStream(shards)
    keys = [picture.key for picture in stream]
    assert "broken" not in keys
    assert len(keys) > 7
    assert stream.skipped["unknown_image_format"] == 1
    assert stream.skipped["no_image"] == 1
    assert stream.skipped["broken_shard"] == 7 - len(
        list(SampleStream(f"{shards}/00002.tar", captioned=False))
    )


def test_paths_without_shards_are_one_clear_line(tmp_path):
    (tmp_path / "captions.json").write_text("{}")
    for path, said in [
        (tmp_path / "absent", "not there"),
        (tmp_path, r"holds no \.tar"),
        (tmp_path / "captions.json", r"is a file that is no \.tar"),
    ]:
        with pytest.raises(InputError, match=said):
            SampleStream(str(path))


def test_real_shards_have_several_captions(shared_data):
    stream = SampleStream(str(shared_data / "coco"))
    pictures = list(stream)
    assert len(pictures) == 76
    assert np.mean([len(picture.captions) for picture in pictures]) > 4
    assert not stream.skipped
