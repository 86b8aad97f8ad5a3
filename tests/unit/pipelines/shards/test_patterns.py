"""Patterns against the standard library's glob, ranges against WebDataset's own expansion; names that exist first."""

import glob
import uuid

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from webdataset.shardlists import expand_urls

from data_filters.errors import InputError
from pipelines.shards.patterns import is_pattern, matches

LOCAL = LocalFileSystem()
FILES = (
    "0.tar",
    "1.tar",
    "10.tar",
    ".hidden.tar",
    "a/0.tar",
    "a/b/0.tar",
    "a/b/.c/0.tar",
    "set [2024]/0.tar",
    "set [2024]/1.tar",
    "set 2/5.tar",
    "{x,y}/0.tar",
    "x/9.tar",
    "part[1].tar",
    "part1.tar",
    "w*.tar",
    "wide.tar",
)


@pytest.fixture
def files(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "pattern", ["*.tar", "?.tar", "[01].tar", "[!0]*.tar", "*/*.tar", "a/*/*.tar", "a/**/*.tar", "*"]
)
def test_wild_cards_are_those_of_the_standard_library(files, pattern):
    expected = sorted(path.rstrip("/") for path in glob.glob(f"{files}/{pattern}", recursive=True))
    assert sorted(matches(LOCAL, f"{files}/{pattern}")) == expected
    assert expected


@pytest.mark.parametrize(
    "pattern", ["{0..1}.tar", "{0,10}.tar", "{a,a/b}/0.tar", "{0..1..1}.tar", "a{,/b}/0.tar"]
)
def test_ranges_are_those_of_webdataset(files, pattern):
    assert matches(LOCAL, f"{files}/{pattern}") == expand_urls(f"{files}/{pattern}")


def test_ranges_keep_their_zeros(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:05d}.tar").write_text("")
    found = matches(LOCAL, f"{tmp_path}/{{00000..00010}}.tar")
    assert found == [f"{tmp_path}/{number:05d}.tar" for number in range(11)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("part[1].tar", ["part[1].tar"]),
        ("w*.tar", ["w*.tar"]),
        ("set [2024]/*.tar", ["set [2024]/0.tar", "set [2024]/1.tar"]),
        ("set [2024]/{0..1}.tar", ["set [2024]/0.tar", "set [2024]/1.tar"]),
        ("{x,y}/*.tar", ["{x,y}/0.tar"]),
        ("*[2024]/0.tar", []),  # as a pattern: names that end in 2, 0 or 4
        ("set [0-9]/*", ["set 2/5.tar"]),
    ],
)
def test_names_that_exist_are_themselves_on_the_whole_way(files, pattern, found):
    assert matches(LOCAL, f"{files}/{pattern}") == [f"{files}/{name}" for name in found]


def test_the_first_missing_name_of_a_range_is_told(files):
    with pytest.raises(InputError, match=rf"names {files}/2.tar, which does not exist"):
        matches(LOCAL, f"{files}/{{0..1000}}.tar")
    assert matches(LOCAL, f"{files}/{{0,7}}*.tar") == [f"{files}/0.tar"]  # with a wild card there may be none
    with pytest.raises(InputError, match="stands for 1,000,000,001 names"):
        matches(LOCAL, f"{files}/{{0..1000000000}}.tar")
    with pytest.raises(InputError, match="is no pattern"):
        matches(LOCAL, f"{files}/{{0..1.tar")


def test_other_file_systems_have_the_same_rules():
    fs, root = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    for name in ("a [1]/0.tar", "a [1]/1.tar", "a 1/2.tar", "b/0.tar"):
        fs.pipe_file(f"{root}/{name}", b"")
    assert matches(fs, f"{root}/a [1]/{{0..1}}.tar") == [f"{root}/a [1]/{number}.tar" for number in (0, 1)]
    assert matches(fs, f"{root}/a*/*.tar") == [
        f"{root}/{name}" for name in ("a 1/2.tar", "a [1]/0.tar", "a [1]/1.tar")
    ]


def test_what_a_pattern_is():
    assert all(map(is_pattern, ("a*", "a?", "[a", "{a")))
    assert not is_pattern("a b=1::c#%20")
