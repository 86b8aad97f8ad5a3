"""An index of real pictures: what it holds and counts, its bytes, and the copies of an icon world that it finds."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from data_filters.hashes import caption_key, xxh3
from data_filters.perceptual_hash import hash_thumbnails, read_thumbnail
from data_filters.sample import BrokenSample
from pipelines.icon_world import render_world
from pipelines.leaks.build import build_index
from pipelines.leaks.index import LeakIndex
from pipelines.shards.reader import iterate

ONE, TWO = picture(seed=1), picture(seed=2)


@pytest.fixture
def inputs(tmp_path) -> list[str]:
    """A shard with a broken picture and a broken caption, and a folder with one picture of no quality."""
    write_tar(
        tmp_path / "shards" / "0.tar",
        {
            "a.jpg": ONE,
            "a.txt": "One",
            "b.jpg": b"no picture",
            "b.txt": "two",
            "c.jpg": TWO,
            "c.txt": b"caf\xe9",
        },
    )
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "pictures" / "red.png")
    return [str(tmp_path / "shards"), str(tmp_path / "pictures")]


def test_everything_is_hashed_and_what_cannot_be_is_counted(tmp_path, inputs):
    made = build_index(inputs, str(tmp_path / "x.parquet"), workers=1)
    assert (made.entries, made.pictures, made.undecodable, made.low_quality) == (4, 4, 1, 1)
    assert (made.captions, made.unreadable_captions) == (2, 1)
    index = LeakIndex.load(tmp_path / "x.parquet")
    assert index.sha256 == (made.sha256,)
    assert index.sources == tuple(sorted(inputs))
    table = {row["key"]: row for row in index.table.to_pylist()}
    assert table["a"]["caption_key"] == caption_key("one")
    assert table["b"]["image_hash"] == xxh3(b"no picture")
    assert table["b"]["pdq"] is None
    assert table["c"]["caption_key"] is None
    shown, quality = hash_thumbnails(read_thumbnail(TWO)[None])
    assert table["c"]["pdq"][:32] == shown[0].tobytes()
    assert table["c"]["pdq_quality"] == quality[0]


def test_pictures_are_read_again_where_they_lie(tmp_path, inputs):
    build_index(inputs, str(tmp_path / "x.parquet"), workers=1)
    index = LeakIndex.load(tmp_path / "x.parquet")
    red = tmp_path / "pictures" / "red.png"
    assert [index.picture(row) for row in range(4)] == [red.read_bytes(), ONE, b"no picture", TWO]
    Image.new("RGB", (64, 64), "blue").save(red)
    (tmp_path / "shards" / "0.tar").unlink()
    assert [index.picture(row) for row in range(4)] == [None] * 4


def test_bytes_do_not_depend_on_order_repetition_processes_or_steps(tmp_path, inputs):
    one = build_index(inputs, str(tmp_path / "1.parquet"), workers=1)
    other = build_index(
        [*inputs[::-1], inputs[0] + "/0.tar", inputs[1]], str(tmp_path / "2.parquet"), workers=1
    )
    assert LeakIndex.load(other.output).table.equals(LeakIndex.load(one.output).table)
    build_index(inputs[:1], str(tmp_path / "first.parquet"), workers=1)
    build_index(inputs[1:], str(tmp_path / "second.parquet"), workers=1)
    parts = [str(tmp_path / "second.parquet"), str(tmp_path / "first.parquet")]
    assert build_index(parts, str(tmp_path / "3.parquet"), workers=1).sha256 == one.sha256
    assert build_index(inputs[::-1], str(tmp_path / "4.parquet"), workers=2).sha256 == one.sha256


def test_several_processes_make_the_same_index(tmp_path):
    for number in range(4):
        write_tar(
            tmp_path / "in" / f"{number}.tar", {"a.jpg": picture(64, 64, seed=number), "a.txt": f"{number}"}
        )
    made = [
        build_index([str(tmp_path / "in")], str(tmp_path / f"{workers}.parquet"), workers=workers)
        for workers in (1, 2)
    ]
    assert made[0].sha256 == made[1].sha256
    assert made[0].pictures == 4


def test_progress_ends_at_the_total(tmp_path, inputs):
    seen: list[tuple[int, int | None]] = []
    build_index(
        inputs, str(tmp_path / "x"), workers=1, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.txt": "words"}, "hold no picture"),
        ({"a.jpg": b"x"}, "1 picture.* none decodes"),
        ({}, "hold no picture"),
    ],
)
def test_an_index_without_pictures_is_refused(tmp_path, members, message):
    tar = write_tar(tmp_path / "0.tar", members)
    with pytest.raises(InputError, match=message):
        build_index([str(tar)], str(tmp_path / "x.parquet"), workers=1)
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize("side", [112, 224])
def test_copies_of_test_pictures_are_found_and_no_other(tmp_path, side):
    render_world(str(tmp_path), 200, 5, image_size=side, flaws=True, test_pairs=100, unseen_pairs=1)
    build_index([str(tmp_path / "test")], str(tmp_path / "x.parquet"), workers=1)
    index = LeakIndex.load(tmp_path / "x.parquet")
    truth = pq.read_table(tmp_path / "ground_truth.parquet").to_pylist()
    copies = {row["key"]: row["detail"][8:] for row in truth if row["flaw"] == "test_image_copy"}
    assert len(copies) == 4
    grids = {}
    for tar in (tmp_path / "train").glob("*.tar"):
        for key, members in iterate(tar):
            try:
                grids[key] = read_thumbnail(members["jpg"])
            except BrokenSample:
                continue
    hashes, quality = hash_thumbnails(np.stack(list(grids.values())))
    distance, entry = index.nearest(hashes)
    found = {
        key: index.entry(int(row)).key
        for key, bits, row, good in zip(grids, distance, entry, quality, strict=True)
        if bits <= 31 and good >= 50
    }
    judged = {key for key, good in zip(grids, quality, strict=True) if good >= 50}
    assert found == {key: source for key, source in copies.items() if key in judged}
    assert len(found) >= 2
