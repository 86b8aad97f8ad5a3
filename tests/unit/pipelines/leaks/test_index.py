"""Look-ups in an index against its rows read by hand, its bytes, and files that are none."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_filters.errors import InputError
from data_filters.hashes import caption_key, xxh3
from pipelines.leaks.index import SCHEMA, Entry, LeakIndex, write_index

GENERATOR = np.random.default_rng(0)
EIGHT = GENERATOR.integers(0, 256, (4, 8, 32), dtype=np.uint8)


def rows(*numbers: int) -> pa.Table:
    """Row 3 has a picture that does not decode."""
    return pa.table(
        [
            ["b.tar" if n == 2 else "a.tar" for n in numbers],
            [f"key{n}" for n in numbers],
            [512 * n for n in numbers],
            [100 + n for n in numbers],
            [xxh3(b"%d" % n) for n in numbers],
            [caption_key(f"caption {n}") if n != 1 else None for n in numbers],
            [EIGHT[n].tobytes() if n != 3 else None for n in numbers],
            [90 - n if n != 3 else None for n in numbers],
        ],
        schema=SCHEMA,
    )


@pytest.fixture
def index(tmp_path) -> LeakIndex:
    write_index(tmp_path / "leaks.parquet", rows(2, 0, 3, 1), ["b", "a"])
    return LeakIndex.load(tmp_path / "leaks.parquet")


def test_rows_are_found_by_any_orientation_by_bytes_and_by_caption(index):
    near = EIGHT[2, 5].copy()
    near[[3, 17]] ^= 0b111
    hashes = np.stack([near, EIGHT[0, 7], ~EIGHT[1, 0], ~EIGHT[1, 0], ~EIGHT[1, 0]])
    found = index.match(
        hashes,
        [b"", b"", xxh3(b"3"), b"", b""],
        [b"", b"", b"", caption_key("CAPTION  0"), caption_key("other")],
    )
    assert found.distance.tolist() == [6, 0, 32, 32, 32]
    places = [None if n < 0 else index.entry(int(n)) for n in found.entry]
    assert places == [
        Entry("b.tar", "key2", 1024, 102),
        Entry("a.tar", "key0", 0, 100),
        Entry("a.tar", "key3", 1536, 103),
        Entry("a.tar", "key0", 0, 100),
        None,
    ]
    assert found.bytes.tolist() == [False, False, True, False, False]
    assert found.caption.tolist() == [False, False, False, True, False]


def test_same_bytes_whatever_the_order_and_repetition_of_rows_and_sources(tmp_path, index):
    first = write_index(tmp_path / "x.parquet", rows(0, 1, 2, 3), ["a", "b"])
    again = write_index(tmp_path / "y.parquet", rows(3, 1, 1, 2, 0, 3), ["b", "a", "b"])
    assert index.sha256 == (first,) == (again,)
    assert hashlib.sha256((tmp_path / "y.parquet").read_bytes()).hexdigest() == again
    assert index.sources == ("a", "b")


def test_other_content_at_the_same_place_is_another_row(tmp_path):
    """Indices of two machines, where one path names other pictures; a row without a caption comes twice."""
    here = rows(0, 1)
    number = SCHEMA.get_field_index("image_hash")
    there = here.set_column(number, SCHEMA.field(number), pa.array([xxh3(b"z"), xxh3(b"1")], pa.binary(16)))
    write_index(tmp_path / "x.parquet", pa.concat_tables([here, there]), [])
    index = LeakIndex.load(tmp_path / "x.parquet")
    assert len(index) == 3
    found = index.match(~EIGHT[:3, 0], [xxh3(b"0"), xxh3(b"z"), xxh3(b"1")], [b"", b"", b""])
    assert found.bytes.tolist() == [True, True, True]


def test_several_files_are_one_index_with_rows_numbered_on(tmp_path):
    write_index(tmp_path / "x.parquet", rows(0, 1), ["x"])
    write_index(tmp_path / "y.parquet", rows(2, 3), ["y"])
    index = LeakIndex.load(tmp_path / "x.parquet", tmp_path / "y.parquet")
    assert len(index) == 4
    assert len(index.sha256) == 2
    assert index.sources == ("x", "y")
    assert index.nearest(EIGHT[2, :1])[1].tolist() == [3]  # a.tar, with row 3, comes before b.tar
    assert index.entry(3).key == "key2"


def with_about(about: str, table: pa.Table | None = None) -> pa.Table:
    return (rows(0) if table is None else table).replace_schema_metadata({"loupe_leak_index": about})


GOOD = '{"version": 1, "hash": "pdq-of-lanczos-64", "sources": []}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"words", "is no leak index"),
        (b"PAR1 and nothing of it PAR1", "is no leak index"),
        (pa.table({"x": [1]}), "is a Parquet file, but no leak index"),
        (with_about("{}"), "version None and hash None; allowed are 1"),
        (with_about("["), "is no leak index"),
        (with_about(GOOD.replace("1,", "2,")), "version 2"),
        (with_about(GOOD.replace("lanczos", "box")), "hash pdq-of-box-64"),
        (with_about(GOOD, SCHEMA.empty_table()), "is empty"),
        (with_about(GOOD, rows(0).drop_columns("key")), "other columns"),
    ],
)
def test_what_is_no_index_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "x.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pq.write_table(content, path)
    with pytest.raises(InputError, match=message) as error:
        LeakIndex.load(path)
    assert "loupe leak-index" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_good_index_of_these_cases_is_read(tmp_path):
    pq.write_table(with_about(GOOD), tmp_path / "x.parquet")
    assert len(LeakIndex.load(tmp_path / "x.parquet")) == 1
