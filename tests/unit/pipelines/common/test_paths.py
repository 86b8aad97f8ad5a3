"""Local paths and URIs apart; where results can be written. (Permissions: see test_ownership.)"""

import os

import pytest

from data_filters.errors import InputError
from pipelines.common.paths import check_file, check_folder, local_path, require_local, writable_folder


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/a/b/", "/a/b"),
        ("a/../b", f"{os.getcwd()}/b"),
        ("~/x", os.path.expanduser("~/x")),
        ("file:///a/b c#1%20", "/a/b c#1%20"),
        ("file:/a", "/a"),
        ("local:///a", "/a"),
        ("a::b", f"{os.getcwd()}/a::b"),
        ("data:x", f"{os.getcwd()}/data:x"),
        ("day=1/{0..1}[2]*", f"{os.getcwd()}/day=1/{{0..1}}[2]*"),
        ("C:/x", f"{os.getcwd()}/C:/x"),
        ("./s3:/x", f"{os.getcwd()}/s3:/x"),
        ("s3://b/x", None),
        ("memory://x", None),
        ("simplecache::s3://b/x", None),
    ],
)
def test_what_has_no_protocol_is_local(text, path):
    assert local_path(text) == path


def test_a_missing_slash_is_named_unless_the_folder_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"'s3:/bucket/x' .*; write s3://bucket/x for the storage, or \./s3:/bucket/x"
    ):
        local_path("s3:/bucket/x")
    (tmp_path / "s3:").mkdir()
    assert local_path("s3:/bucket/x") == f"{tmp_path}/s3:/bucket/x"


def test_a_uri_is_refused_where_a_path_is_wanted():
    with pytest.raises(InputError, match=r"^output is 's3://b/x'; allowed are local paths"):
        require_local("output", "s3://b/x")


def test_missing_folders_are_made_and_named_from_the_deepest(tmp_path):
    wanted = str(tmp_path / "a" / "b")
    missing = [wanted, str(tmp_path / "a")]
    assert check_folder("output", wanted) == missing
    assert list(tmp_path.iterdir()) == []
    assert writable_folder("output", wanted) == missing
    assert writable_folder("output", wanted) == []


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; give a folder"):
        check_folder("output", str(tmp_path / "file"))
    with pytest.raises(InputError, match="the folder of output .*/file is a file"):
        check_file("output", str(tmp_path / "file" / "page.html"))
    with pytest.raises(InputError, match="is a folder; give a file"):
        check_file("output", str(tmp_path))
    check_file("output", str(tmp_path / "new" / "page.html"))
