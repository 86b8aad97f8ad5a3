"""The sha256 of a file against hashlib, also after the file has changed."""

import hashlib

import pytest

from data_filters.errors import InputError
from pipelines.curate.scores.local_files import sha256_of


def test_it_follows_the_file(tmp_path):
    path = tmp_path / "model"
    for data in (b"one", b"another one"):
        path.write_bytes(data)
        assert sha256_of(str(path)) == hashlib.sha256(data).hexdigest()


def test_a_file_that_cannot_be_read_is_the_users_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        sha256_of(str(tmp_path / "none"))
