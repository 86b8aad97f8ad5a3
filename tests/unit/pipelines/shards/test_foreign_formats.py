"""Files of other formats, made by their own writers."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pytest

from pipelines.shards.foreign_formats import foreign_format


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"x"), "gzip"),
        (bz2.compress(b"x"), "bzip2"),
        (lzma.compress(b"x"), "xz"),
        (pa.compress(b"x", "zstd", asbytes=True), "zstd"),
        (zipped(), "zip archive"),
        (b"\n<!DOCTYPE html><html>", "HTML page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error>", "XML message"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_a_format_is_named(data, said):
    assert said in foreign_format(data)


@pytest.mark.parametrize("data", [b"", b"x", bytes(512), tarfile.TarInfo("a.jpg").tobuf()])
def test_others_are_not(data):
    assert foreign_format(data) is None
