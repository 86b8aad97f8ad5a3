"""What is refused before anything is written."""

import re

import pytest

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
