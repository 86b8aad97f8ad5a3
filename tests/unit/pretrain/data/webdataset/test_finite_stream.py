"""The end of a stream is passed on, and is not read for ever."""

import io
import tarfile

import pytest

from pretrain.data.webdataset.finite_stream import FiniteStream


def tar_with_size(field: bytes) -> bytes:
    block = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + bytes(10_000)


def test_bytes_pass_and_the_end_is_the_end():
    stream = FiniteStream(io.BytesIO(b"abc"))
    assert (stream.read(2), stream.read(), stream.read(1), stream.read()) == (b"ab", b"c", b"", b"")
    stream.close()
    assert stream.file.closed


def test_a_size_beyond_all_bounds_ends_in_an_error():
    stream = FiniteStream(io.BytesIO(tar_with_size(b"\x80\x01" + bytes(10))))
    with pytest.raises((OSError, tarfile.ReadError)), tarfile.open(fileobj=stream, mode="r|*") as tar:
        tar.getmembers()
