"""The catalogue of raw shards: it vouches for what a listing shows unchanged, and for nothing else."""

import os
import time

import pytest

from pipelines.curate.catalogue import CATALOGUE, Catalogue
from pipelines.shards.unit import Unit

SHA = {"a": "11" * 32, "b": "22" * 32}


@pytest.fixture
def units(tmp_path):
    found = []
    for name in "ab":
        path = tmp_path / f"{name}.tar"
        path.write_bytes(b"x")
        then = time.time_ns() - 10**10
        os.utime(path, ns=(then, then))
        found.append(Unit(name, str(path), 1))
    return found


def test_what_was_noted_is_unchanged_until_the_listing_shows_another_file(units, tmp_path):
    output = str(tmp_path / "out")
    first = Catalogue(units, output)
    assert not first.is_unchanged("a", SHA["a"])
    first.write(SHA.get)
    again = Catalogue(units, output)
    assert [again.is_unchanged(name, SHA[name]) for name in "ab"] == [True, True]
    assert not again.is_unchanged("a", SHA["b"])
    assert not again.is_unchanged("c", SHA["a"])
    os.utime(units[0].uri, ns=(1, 1))
    touched = Catalogue(units, output)
    assert [touched.is_unchanged(name, SHA[name]) for name in "ab"] == [False, True]


def test_another_uri_and_a_damaged_file_vouch_for_nothing(units, tmp_path):
    output = str(tmp_path / "out")
    Catalogue(units, output).write(SHA.get)
    moved = tmp_path / "moved"
    moved.mkdir()
    os.link(units[0].uri, moved / "a.tar")  # the same inode, time and size
    assert not Catalogue([Unit("a", str(moved / "a.tar"), 1)], output).is_unchanged("a", SHA["a"])
    (tmp_path / "out" / CATALOGUE).write_bytes(b"PAR1")
    assert not Catalogue(units, output).is_unchanged("a", SHA["a"])


def test_the_file_depends_on_the_shards_alone_and_is_not_written_twice(units, tmp_path):
    once, later = tmp_path / "once", tmp_path / "later"
    Catalogue(units, str(once)).write(SHA.get)
    Catalogue(units, str(later)).write({"a": SHA["a"]}.get)
    Catalogue(units, str(later)).write(SHA.get)
    assert (once / CATALOGUE).read_bytes() == (later / CATALOGUE).read_bytes()
    before = (once / CATALOGUE).stat().st_mtime_ns
    Catalogue(units, str(once)).write(SHA.get)
    assert (once / CATALOGUE).stat().st_mtime_ns == before
    Catalogue(units[:1], str(once)).write(SHA.get)  # the other was withdrawn
    Catalogue(units[:1], str(tmp_path / "one")).write(SHA.get)
    assert (once / CATALOGUE).read_bytes() == (tmp_path / "one" / CATALOGUE).read_bytes()
    Catalogue(units, str(once)).write({}.get)
    assert not (once / CATALOGUE).exists()
