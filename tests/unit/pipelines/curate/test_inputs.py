"""What is refused before anything is written."""

import re
import uuid

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from data_filters.errors import InputError
from pipelines.curate.inputs import check_output, find_units, require_pairs
from pipelines.shards.writer import write_shard


def test_folder_file_and_pattern(tmp_path):
    for name in ["b.tar", "a.tar", ".hidden.tar"]:
        write_shard(tmp_path / name, [("k", {"txt": b"1"})])
    (tmp_path / "notes.txt").write_text("")
    assert [unit.name for unit in find_units(str(tmp_path))] == ["a", "b"]
    assert [unit.name for unit in find_units(f"{tmp_path}/")] == ["a", "b"]
    assert [unit.name for unit in find_units(str(tmp_path / "a.tar"))] == ["a"]
    assert [unit.shard for unit in find_units(str(tmp_path / "b*.tar"))] == ["b.tar"]
    assert find_units(f"file://{tmp_path}")[0].size == (tmp_path / "a.tar").stat().st_size


def test_with_manifests_only_committed_tars_count(tmp_path):
    write_shard(tmp_path / "a.tar", [("k", {"txt": b"1"})])
    write_shard(tmp_path / "b.tar", [("k", {"txt": b"1"})])
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "b.json").write_text(
        '{"outputs": [{"tar": "b.tar", "samples": 1, "sha256": "0"}]}'
    )
    assert [unit.name for unit in find_units(str(tmp_path))] == ["b"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing", "does not exist; give a folder"),
        ("empty", "is a folder without .tar files; expected WebDataset shards"),
        ("file.zip", "is a file, but no .tar"),
        ("empty/*.tar", "no .tar file matches"),
    ],
)
def test_inputs_that_will_not_do(tmp_path, path, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.zip").write_text("")
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        find_units(str(tmp_path / path))
    assert str(tmp_path / path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_shards_of_one_name(tmp_path):
    for folder in "xy":
        write_shard(tmp_path / folder / "0.tar", [])
    with pytest.raises(InputError, match=r"two shards are called 0\.tar"):
        find_units(f"{tmp_path}/*/0.tar")


@pytest.mark.parametrize(
    ("samples", "fine"),
    [
        ([], False),
        ([("a", {"jpg": b"1"}), ("b", {"txt": b"1"})], False),
        ([("a", {"cls": b"1", "txt": b"1"})], False),
        ([("a", {"jpg": b"1"}), ("b", {"WEBP": b"1", "json": b"1"})], True),
    ],
)
def test_a_tar_with_no_pairs(tmp_path, samples, fine):
    write_shard(tmp_path / "0.tar", samples)
    units = find_units(str(tmp_path))
    if fine:
        require_pairs(units, "here")
    else:
        with pytest.raises(InputError, match=r"no image-text pair in 1 shard; a pair is KEY\.jpg"):
            require_pairs(units, "here")


def test_outputs_that_would_be_destroyed(tmp_path):
    write_shard(tmp_path / "in" / "0.tar", [("k", {"txt": b"1"})])
    write_shard(tmp_path / "foreign" / "1.tar", [("k", {"txt": b"1"})])
    (tmp_path / "file").write_text("")
    units = find_units(str(tmp_path / "in"))
    for output, expected in [
        ("in", "is the folder of the input"),
        ("foreign", "did not write"),
        ("file", "is a file"),
    ]:
        with pytest.raises(InputError, match=expected):
            check_output(units, str(tmp_path / "in"), str(tmp_path / output))
    assert check_output(units, str(tmp_path / "in"), str(tmp_path / "new")) == {}
    assert not (tmp_path / "new").exists()


@pytest.fixture
def requests(monkeypatch) -> list[str]:
    """The calls that are requests on an object store."""
    calls: list[str] = []

    def counted(name: str):
        method = getattr(MemoryFileSystem, name)
        return lambda *args, **options: calls.append(name) or method(*args, **options)

    for name in ("ls", "info", "exists", "isdir", "isfile", "cat_file"):
        monkeypatch.setattr(MemoryFileSystem, name, counted(name))
    return calls


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/{0000..9999}.tar"])
def test_no_request_is_made_for_each_shard(requests, pattern):
    fs, counts = fsspec.filesystem("memory"), []
    for shards in (30, 300):
        root = f"/{uuid.uuid4().hex}"
        for number in range(shards):
            fs.pipe_file(f"{root}/in/{number:04d}.tar", b"x" * number)
        output = f"memory:/{root}/out"
        fs.makedirs(f"{root}/out/manifests")
        before = len(requests)
        units = find_units(f"memory:/{root}/in{pattern.replace('9999', f'{shards - 1:04d}')}")
        assert [unit.size for unit in units] == list(range(shards))
        assert check_output(units, f"memory:/{root}/in", output) == {}
        counts.append(len(requests) - before)
    assert counts[0] == counts[1] < 100, requests


def test_a_committed_shard_has_the_size_of_the_file_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "manifests").mkdir()
    entries = [f'{{"tar": "{name}.tar", "samples": 1, "sha256": "0", "size": 1}}' for name in "ab"]
    (tmp_path / "manifests" / "unit.json").write_text(f'{{"outputs": [{", ".join(entries)}]}}')
    write_shard(tmp_path / "a.tar", [("k", {"txt": b"1"})])
    with pytest.raises(FileNotFoundError, match=r"b\.tar"):
        find_units(str(tmp_path))
    write_shard(tmp_path / "b.tar", [])
    assert [unit.size for unit in find_units(str(tmp_path))] == [
        (tmp_path / f"{name}.tar").stat().st_size for name in "ab"
    ]


def test_a_foreign_file_in_the_place_of_a_manifest_is_refused(tmp_path):
    write_shard(tmp_path / "in" / "0.tar", [("k", {"txt": b"1"})])
    (tmp_path / "out" / "manifests").mkdir(parents=True)
    (tmp_path / "out" / "manifests" / "0.json").write_text("[1]")
    units = find_units(str(tmp_path / "in"))
    with pytest.raises(InputError, match=r"holds manifests/0\.json, which this command did not write"):
        check_output(units, str(tmp_path / "in"), str(tmp_path / "out"))
