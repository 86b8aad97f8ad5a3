"""Reads tars in pieces: any range of bytes, and neighbouring ranges with one request."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
from collections.abc import Iterator

from fsspec.implementations.local import LocalFileSystem

from pipelines.common.files import Uri, filesystem
from pipelines.shards.tar_format import Member, Read

MAX_GAP = 64 * 1024  # bytes: two members nearer than this are fetched with one request
MAX_RANGE = 16 * 1024 * 1024  # bytes: the longest coalesced request
MAX_READ = 1024 * 1024 * 1024  # bytes of one system call; Linux reads at most 2,147,479,552
INDEX_SUFFIX = ".index.parquet"


@contextlib.contextmanager
def open_at_random(uri: Uri) -> Iterator[tuple[Read, int]]:
    """(read, size in bytes) of a file. A local file is mapped into memory, so a header costs no system call."""
    fs, path = filesystem(uri)
    with contextlib.ExitStack() as stack:
        if isinstance(fs, LocalFileSystem):
            total = os.stat(path).st_size
            if total == 0:  # an empty file cannot be mapped
                yield lambda offset, length: b"", 0
                return
            descriptor = os.open(path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            mapped = stack.enter_context(mmap.mmap(descriptor, total, access=mmap.ACCESS_READ))
            yield lambda offset, length: mapped[offset : offset + length], total
            return
        file = stack.enter_context(fs.open(path, "rb"))
        total = fs.size(path)

        def read(offset: int, length: int) -> bytes:
            file.seek(offset, io.SEEK_SET)
            data: bytes = file.read(length)
            return data

        yield read, total


def read_range(descriptor: int, start: int, stop: int) -> bytes:
    """Read the bytes from `start` to `stop` of an open local file, fewer where it ends before."""
    pieces: list[bytes] = []
    while start < stop:
        piece = os.pread(descriptor, min(stop - start, MAX_READ), start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def coalesce(members: list[Member]) -> list[tuple[int, int, list[int]]]:
    """Join members that lie near each other into requests.

    Returns (start, stop, positions in `members`) of each request, in bytes, in the order of the tar.
    """
    ranges: list[tuple[int, int, list[int]]] = []
    first = last = 0
    positions: list[int] = []
    for position in sorted(range(len(members)), key=[member.offset for member in members].__getitem__):
        _, _, start, length = members[position]
        stop = start + length
        if positions and start - last <= MAX_GAP and stop - first <= MAX_RANGE:
            positions.append(position)
            last = max(last, stop)
        else:
            if positions:
                ranges.append((first, last, positions))
            first, last, positions = start, stop, [position]
    if positions:
        ranges.append((first, last, positions))
    return ranges


def index_name(tar: str) -> str:
    """`NAME.index.parquet` for `NAME.tar`."""
    return tar.removesuffix(".tar") + INDEX_SUFFIX
