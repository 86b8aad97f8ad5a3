"""A witness is equal as long as nobody writes, and another one after every way of writing."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from pipelines.shards.witness import Witness, witness


def test_a_file_that_nobody_writes_keeps_its_witness(tmp_path: Path) -> None:
    file = tmp_path / "0.tar"
    file.write_bytes(b"bytes")
    facts = os.stat(file)
    assert witness(file) == Witness(5, facts.st_mtime_ns, facts.st_ino)
    file.read_bytes()
    assert witness(str(file)) == Witness(5, facts.st_mtime_ns, facts.st_ino)
    assert witness(file).is_telling


def test_other_bytes_of_the_same_size_have_another_witness(tmp_path: Path) -> None:
    file, other = tmp_path / "0.tar", tmp_path / "other"
    file.write_bytes(b"bytes")
    before = witness(file)
    os.utime(file, ns=(before.mtime_ns, before.mtime_ns + 1))
    assert witness(file) != before
    # A file that is renamed over the first with its time restored: the inode tells.
    other.write_bytes(b"BYTES")
    os.utime(other, ns=(before.mtime_ns, before.mtime_ns))
    other.rename(file)
    assert witness(file).mtime_ns == before.mtime_ns
    assert witness(file) != before


def test_far_away_the_store_tells(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/witness/0.tar", b"bytes")
    before = witness("memory://witness/0.tar")
    assert before.size == 5
    assert before.inode is None
    assert before.is_telling
    assert witness("memory://witness/0.tar") == before
    fs.pipe_file("/witness/0.tar", b"BYTES")
    assert witness("memory://witness/0.tar") != before


def test_no_file_no_witness(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        witness(tmp_path / "absent.tar")
    assert not Witness(5).is_telling
