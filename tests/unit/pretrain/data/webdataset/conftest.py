"""Plain tars as img2dataset leaves them."""

import tarfile
from io import BytesIO

import pytest


def write_tar(path, pairs) -> None:
    """A tar and nothing else, written by the standard library."""
    with tarfile.open(path, "w") as tar:
        for key, members in pairs:
            for extension, data in members.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, BytesIO(data))


@pytest.fixture
def folder(tmp_path):
    """Function: pairs of each shard → a folder of tars."""

    def write(shards):
        target = tmp_path / "raw"
        target.mkdir()
        for number, pairs in enumerate(shards):
            write_tar(target / f"{number:05d}.tar", pairs)
        return str(target)

    return write


@pytest.fixture
def plain(folder, pair):
    """Four tars of 13 pairs each."""
    return folder([[pair(shard * 13 + row) for row in range(13)] for shard in range(4)])
