"""Witnesses of files by listings: what changes with a file, and what a listing cannot tell."""

import datetime
import os
import time

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.shards.listed import MARK_BYTES, listed_marks


def old(path, seconds: int = 60) -> None:
    then = time.time_ns() - seconds * 10**9
    os.utime(path, ns=(then, then))


def test_a_local_file_has_another_mark_when_its_bytes_may_have_changed(tmp_path):
    one, other = tmp_path / "a.tar", tmp_path / "b.tar"
    for path in (one, other):
        path.write_bytes(b"1234")
        old(path)
    before = listed_marks([str(one), str(other)])
    assert set(before) == {str(one), str(other)}
    assert all(len(mark) == MARK_BYTES for mark in before.values())
    assert listed_marks([str(one)]) == {str(one): before[str(one)]}
    old(one, 30)
    assert listed_marks([str(one)])[str(one)] != before[str(one)]
    replaced = tmp_path / "c.tar"
    replaced.write_bytes(b"5678")
    os.utime(replaced, ns=(other.stat().st_mtime_ns,) * 2)
    os.replace(replaced, other)  # the same size and time, another inode
    assert listed_marks([str(other)])[str(other)] != before[str(other)]


def test_a_file_of_this_moment_and_one_that_is_gone_are_left_out(tmp_path):
    new = tmp_path / "a.tar"
    new.write_bytes(b"1")
    ahead = time.time_ns() + 10**9
    os.utime(new, ns=(ahead, ahead))
    assert listed_marks([str(new), str(tmp_path / "no.tar"), str(tmp_path / "none" / "b.tar")]) == {}


def test_remote_files_are_told_by_one_listing_of_their_folder(monkeypatch):
    fs = fsspec.filesystem("memory")
    uris = [f"memory://listed/{name}.tar" for name in "abc"]
    for uri in uris:
        fs.pipe_file(uri, b"x")
    asked = []
    listing = MemoryFileSystem.ls
    monkeypatch.setattr(
        MemoryFileSystem, "ls", lambda self, path, **o: asked.append(path) or listing(self, path, **o)
    )
    marks = listed_marks(uris)
    assert (set(marks), asked) == (set(uris), ["/listed"])
    fs.store["/listed/a.tar"].created += datetime.timedelta(seconds=1)
    changed = listed_marks(uris)
    assert [uri for uri in uris if changed[uri] != marks[uri]] == uris[:1]
    fs.rm("/listed", recursive=True)
