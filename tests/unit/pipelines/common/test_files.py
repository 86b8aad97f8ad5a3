"""Files are written whole: the bytes, the names, and what an error leaves behind, on the disk and in memory."""

import json
import os
import tempfile
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common import files
from pipelines.common.files import (
    absolute,
    filesystem,
    indented_json,
    join,
    partial_name,
    read_json,
    read_parquet,
    remove_file,
    remove_partials,
    write_bytes,
    write_json,
    write_parquet,
    write_text,
)


@pytest.fixture(params=["local", "file", "memory"])
def place(request, tmp_path) -> str:
    """A folder that does not exist yet, as a local path, a local URI and a URI of fsspec's memory file system."""
    return {
        "local": str(tmp_path / "new"),
        "file": f"file://{tmp_path}/new",
        "memory": f"memory://{uuid.uuid4().hex}/new",
    }[request.param]


def read(uri: str) -> bytes:
    with fsspec.open(uri, "rb") as file:
        return file.read()


def names(folder: str) -> list[str]:
    fs, path = fsspec.url_to_fs(folder)
    return sorted(name.rsplit("/", 1)[1] for name in fs.ls(path, detail=False)) if fs.isdir(path) else []


def test_a_file_is_written_and_replaced_and_nothing_else_is_left(place):
    uri = join(place, "deep", "x.bin")
    for data in (b"first, and longer", b"second"):
        write_bytes(uri, data)
        assert read(uri) == data
        assert names(join(place, "deep")) == ["x.bin"]


def test_text_is_utf8_and_strict_unless_told_otherwise(place):
    uri = join(place, "x.txt")
    write_text(uri, "żółw\n")
    assert read(uri) == "żółw\n".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text(uri, "lone \ud800")
    assert read(uri) == "żółw\n".encode()
    write_text(uri, "lone \ud800", errors="replace")
    assert read(uri) == b"lone ?"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, '{\n "b": "ż",\n "a": 1\n}\n'),
        ({"indent": 2, "sort_keys": True}, '{\n  "a": 1,\n  "b": "ż"\n}\n'),
        ({"indent": None, "ensure_ascii": True, "end": ""}, '{"b": "\\u017c", "a": 1}'),
    ],
)
def test_json_by_hand(place, options, expected):
    write_json(join(place, "x.json"), {"b": "ż", "a": 1}, **options)
    assert read(join(place, "x.json")).decode() == expected


def test_json_is_read_and_a_missing_file_is_none(place):
    uri = join(place, "x.json")
    assert read_json(uri) is None
    write_bytes(uri, '{"row": "ü", "seed": 1}'.encode())
    assert read_json(uri) == {"row": "ü", "seed": 1}
    write_bytes(uri, b"{")
    with pytest.raises(json.JSONDecodeError):
        read_json(uri)


def test_a_value_that_is_no_json_leaves_the_older_file(place):
    uri = join(place, "x.json")
    write_json(uri, [1])
    with pytest.raises(TypeError):
        write_json(uri, {"a": object()})
    assert json.loads(read(uri)) == [1]
    assert names(place) == ["x.json"]


def test_parquet_is_read_back_with_its_compression(place):
    table = pa.table({"key": ["a", "b"], "size": [1, 2]})
    for compression in ("zstd", "snappy"):
        write_parquet(join(place, "x.parquet"), table, compression=compression)
        with fsspec.open(join(place, "x.parquet"), "rb") as file:
            found = pq.ParquetFile(file)
            assert found.read() == table
            assert found.metadata.row_group(0).column(0).compression == compression.upper()
    assert names(place) == ["x.parquet"]


def test_a_rename_that_fails_leaves_the_older_file_and_no_partial_one(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def failing(*_args: object) -> None:
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="disk is gone"):
        write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text() == "old"


def test_a_write_that_fails_in_memory_leaves_the_older_file(monkeypatch):
    folder = f"memory://{uuid.uuid4().hex}"
    write_text(f"{folder}/x.txt", "old")
    fs = fsspec.filesystem("memory")
    monkeypatch.setattr(type(fs), "mv", lambda *_args, **_options: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        write_text(f"{folder}/x.txt", "new")
    assert names(folder) == ["x.txt"]
    assert read(f"{folder}/x.txt") == b"old"


def test_a_temporary_name_is_hidden_beside_its_file_and_never_the_same():
    one, other = partial_name("/a/b.tar"), partial_name("/a/b.tar")
    assert one != other
    for name in (one, other):
        assert name.startswith("/a/.b.tar.")
        assert name.endswith(files.PARTIAL_SUFFIX)


@given(st.text("a*?[].", min_size=1, max_size=8).filter(lambda name: name.strip(".")))
def test_only_the_partial_files_of_one_name_are_removed(name):
    with tempfile.TemporaryDirectory() as folder:
        check_removal(folder, name)


def check_removal(folder: str, name: str) -> None:
    made = [partial_name(f"{name}.tar"), partial_name(f"{name}.index.parquet")]
    # Of a shard whose name begins alike, of another name, and what is no temporary file.
    others = [partial_name(f"{name}.1.tar"), partial_name(f"b{name}.tar")]
    foreign = [f".{name}.tar.1.partial", f"{name}.tar", f".{name}.tar", ".partial"]
    for file in made + others + foreign:
        Path(folder, file).touch()
    remove_partials(join(folder, "absent"), name)
    remove_partials(folder, f"{name}.tar", f"{name}.index.parquet")
    assert names(folder) == sorted(others + foreign)
    remove_partials(folder)
    assert names(folder) == sorted(foreign)


def test_removing_a_file_that_is_not_there_is_no_error(place):
    write_bytes(join(place, "x"), b"")
    remove_file(join(place, "x"))
    remove_file(join(place, "x"))
    assert names(place) == []


def test_paths_and_uris(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b") == str(tmp_path / "b")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert absolute("~/data") == "/home/somebody/data"
    assert absolute("s3://bucket/key/") == "s3://bucket/key"
    assert join("s3://bucket/", "a", "b.tar") == "s3://bucket/a/b.tar"
    assert join(Path("x"), "y") == "x/y"
    assert filesystem(tmp_path)[1] == str(tmp_path)


@pytest.mark.parametrize("sort_keys", [False, True])
@pytest.mark.parametrize("ensure_ascii", [False, True])
def test_indented_json_is_that_of_the_standard_library(sort_keys, ensure_ascii):
    flat = {"b": 1, "a": [1, 2.5, None], "ä\n": 'é"\\', "z": True}
    for value in (
        {}, [], 3, "ä", None, float("nan"), [[], {}], {"x": []}, {1: {"y": (1, 2)}, 0: "a"}, flat,
        {"config": flat, "inputs": [flat, {}, [flat]], "histograms": {"s": {"3": 1, "12": 2}}, "t": ((), ((1,),))},
    ):  # fmt: skip
        options = {"ensure_ascii": ensure_ascii, "sort_keys": sort_keys}
        assert indented_json(value, 1, **options) == json.dumps(value, indent=1, **options)


def test_small_tables_are_written_as_they_are_and_large_ones_compressed(tmp_path):
    for rows, compression in ((10, "UNCOMPRESSED"), (10_000, "ZSTD")):
        table = pa.table({"key": ["a"] * rows, "size": range(rows)}).replace_schema_metadata({"x": "y"})
        write_parquet(tmp_path / "deep" / "x.parquet", table)
        found = pq.ParquetFile(tmp_path / "deep" / "x.parquet").metadata.row_group(0).column(0)
        assert found.compression == compression
        assert read_parquet(tmp_path / "deep" / "x.parquet").equals(table, check_metadata=True)
        assert read_parquet(tmp_path / "deep" / "x.parquet", ["size"]) == table.select(["size"])
    assert read_parquet(tmp_path / "absent.parquet") is None
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises((pa.ArrowException, OSError)):
        read_parquet(tmp_path / "cut.parquet")


@pytest.mark.parametrize("rows", [10, 20_000])  # written as it is, and compressed
def test_zeros_in_the_place_of_values_are_noticed(tmp_path, rows):
    """What a power cut leaves of a file that nobody waited for: a whole footer behind zeros."""
    uri = str(tmp_path / "x.parquet")
    table = pa.table({"x": pa.array(range(1, rows + 1), pa.int64())})
    write_parquet(uri, table, lasting=False)
    assert read_parquet(uri).equals(table)
    whole = bytearray(Path(uri).read_bytes())
    end = pq.read_metadata(uri).row_group(0).column(0).total_compressed_size
    whole[end - 8 : end] = bytes(8)
    Path(uri).write_bytes(whole)
    with pytest.raises(OSError, match="[Cc]rc|CRC"):
        read_parquet(uri)
