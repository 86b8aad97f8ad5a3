"""Which tars a URI names: committed ones where there are manifests, else every visible one, in order."""

import json
import uuid
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.errors import InputError
from pipelines.shards.listing import FoundShard, Kind, find_shards


def fill(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def commit(folder: Path, tars: list[str]) -> None:
    (folder / "manifests").mkdir(exist_ok=True)
    outputs = [{"tar": tar, "samples": 1, "sha256": "0"} for tar in tars]
    (folder / "manifests" / "unit.json").write_text(json.dumps({"outputs": outputs}))


def test_a_folder_without_manifests_gives_its_visible_tars_by_name(tmp_path):
    fill(tmp_path, ["b.tar", "a.tar", ".hidden.tar", "a.index.parquet", "notes.txt", "tar"])
    fill(tmp_path / "deeper", ["c.tar"])
    for uri in (tmp_path, str(tmp_path), f"{tmp_path}/"):
        listing = find_shards(uri)
        assert listing.kind is Kind.FOLDER
        assert listing.shards == (
            FoundShard(f"{tmp_path}/a.tar", "a"),
            FoundShard(f"{tmp_path}/b.tar", "b"),
        )
    assert find_shards(f"file://{tmp_path}").uris == [f"file://{tmp_path}/a.tar", f"file://{tmp_path}/b.tar"]


def test_with_manifests_only_what_they_name_counts(tmp_path):
    fill(tmp_path, ["a.tar", "b.tar", "c.tar"])
    commit(tmp_path, ["c.tar", "b.tar"])
    listing = find_shards(tmp_path)
    assert (listing.kind, [shard.name for shard in listing.shards]) == (Kind.COMMITTED, ["b", "c"])
    commit(tmp_path, [])
    assert find_shards(tmp_path).kind is Kind.COMMITTED
    assert find_shards(tmp_path).uris == []
    (tmp_path / "manifests" / "unit.json").write_text('{"config_hash": "a')
    with pytest.raises(InputError, match=r"unit\.json is damaged"):
        find_shards(tmp_path)


def test_a_folder_manifests_without_a_manifest_does_not_count(tmp_path):
    fill(tmp_path, ["b.tar", "a.tar"])
    fill(tmp_path / "manifests", [".unit.json.0.partial", "notes.txt"])
    listing = find_shards(tmp_path)
    assert (listing.kind, [shard.name for shard in listing.shards]) == (Kind.FOLDER, ["a", "b"])


def test_one_tar_a_pattern_and_what_is_neither(tmp_path, monkeypatch):
    fill(tmp_path / "x", ["1.tar", "2.tar", "note.zip", ".3.tar"])
    fill(tmp_path / "y", ["1.tar"])
    monkeypatch.chdir(tmp_path)
    assert find_shards("x/1.tar").shards == (FoundShard(f"{tmp_path}/x/1.tar", "1"),)
    assert find_shards("x/1.tar").kind is Kind.TAR
    pattern = find_shards("*/*.tar")
    assert pattern.kind is Kind.PATTERN
    assert pattern.uris == [f"{tmp_path}/{name}" for name in ("x/1.tar", "y/1.tar", "x/2.tar")]
    assert find_shards("x/[1]*").uris == [f"{tmp_path}/x/1.tar"]
    assert find_shards("x/?.tar").uris == [f"{tmp_path}/x/1.tar", f"{tmp_path}/x/2.tar"]
    assert find_shards("z*").shards == ()
    assert [find_shards(name).kind for name in ("x/note.zip", "absent")] == [Kind.OTHER_FILE, Kind.MISSING]


def test_a_name_with_brackets_is_itself_where_it_exists(tmp_path):
    folder = fill(tmp_path / "run[1]", ["a.tar"])
    assert find_shards(folder).kind is Kind.FOLDER
    assert find_shards(folder / "a.tar").uris == [f"{folder}/a.tar"]


@given(st.sets(st.text("ab.", min_size=1, max_size=5).map(lambda name: f"{name}.tar"), max_size=6))
def test_every_file_system_gives_the_same_names(names):
    root = f"/{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    fs.makedirs(root)
    for name in names:
        fs.pipe_file(f"{root}/{name}", b"")
    listing = find_shards(f"memory:/{root}")
    visible = sorted(name for name in names if not name.startswith("."))
    assert [f"{shard.name}.tar" for shard in listing.shards] == visible
    assert all(fs.exists(uri) for uri in listing.uris)


def test_ranges_name_files_or_folders_and_lists_are_refused(tmp_path):
    fill(tmp_path / "x", ["0.tar", "1.tar", "2.tar"])
    fill(tmp_path / "y", ["7.tar", "note.txt"])
    listing = find_shards(f"{tmp_path}/x/{{1..2}}.tar")
    assert (listing.kind, listing.uris) == (Kind.PATTERN, [f"{tmp_path}/x/1.tar", f"{tmp_path}/x/2.tar"])
    assert [shard.name for shard in find_shards(f"{tmp_path}/{{x,y}}").shards] == ["0", "1", "2", "7"]
    assert find_shards(f"{tmp_path}/*").shards == ()  # a wild card is for files
    assert find_shards(f"file://{tmp_path}/x/{{0..0}}.tar").uris == [f"file://{tmp_path}/x/0.tar"]
    with pytest.raises(InputError, match="lists with :: are not read"):
        find_shards(f"{tmp_path}/x/0.tar::{tmp_path}/x/1.tar")


@pytest.mark.parametrize(
    "name", ["a::b", "set [2024]", "{0..1}", "day=20240101", "50% #1", "ü %20", "what?", "star*", "~x"]
)
def test_any_name_is_found_as_it_is(tmp_path, name):
    folder = fill(tmp_path / name, [f"{name}.tar"])
    for uri in (folder, f"{folder}/{name}.tar", f"{folder}/*.tar"):
        assert find_shards(uri).uris == [f"{folder}/{name}.tar"]
    assert find_shards(f"file://{folder}").uris == [f"file://{folder}/{name}.tar"]
