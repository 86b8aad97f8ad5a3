"""Files of drops, local and elsewhere."""

import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.common.files import filesystem, join
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drop_files import DropFiles, remove_folder, write_drops

DROPPED = pa.table([[3, 2**40], [-1, 3], [0.5, 1.5]], schema=DROPS)


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path: Path) -> str:
    return str(tmp_path / "rule") if request.param == "local" else f"memory://{uuid.uuid4().hex}/rule"


def test_a_group_is_read_as_it_was_written_and_one_without_a_file_is_empty(folder):
    write_drops(folder, 1, DROPPED)
    files = DropFiles(folder, bytes([0, 1]))
    assert files.read(1) == DROPPED
    assert files.read(0) == DROPS.empty_table()


def test_a_second_attempt_writes_the_same_file(folder):
    for _ in range(2):
        write_drops(folder, 0, DROPPED)
    fs, path = filesystem(folder)
    assert len(fs.ls(path)) == 1
    assert DropFiles(folder, bytes([1])).read(0) == DROPPED


def test_a_file_that_is_gone_is_an_error_not_an_empty_group(folder):
    with pytest.raises(FileNotFoundError):
        DropFiles(folder, bytes([1])).read(0)


def test_a_folder_is_removed_with_all_in_it_and_twice_is_no_error(folder):
    write_drops(folder, 0, DROPPED)
    for _ in range(2):
        remove_folder(folder)
    fs, path = filesystem(join(folder, "x"))
    assert not fs.exists(path.rpartition("/")[0])
