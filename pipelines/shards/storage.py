"""Where shards lie: any URI that fsspec opens, local files without a detour."""

import contextlib
import io
import mmap
import os
import posixpath
import uuid
from collections.abc import Iterator
from typing import Any, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from pipelines.shards.tar_format import Member, Read

MAX_GAP = 64 * 1024  # bytes: two members nearer than this are fetched with one request
MAX_RANGE = 16 * 1024 * 1024  # bytes: the longest coalesced request
PARTIAL_SUFFIX = ".partial"
INDEX_SUFFIX = ".index.parquet"


def filesystem(uri: str | os.PathLike[str]) -> tuple[Any, str]:
    fs, path = fsspec.url_to_fs(os.fspath(uri))
    return fs, path


def absolute(uri: str | os.PathLike[str]) -> str:
    """A local path made absolute; a URI with a protocol as it is."""
    text = os.fspath(uri)
    return text.rstrip("/") if "://" in text else os.path.abspath(text)


@contextlib.contextmanager
def open_at_random(uri: str | os.PathLike[str]) -> Iterator[tuple[Read, int]]:
    """(read, size in bytes): a local file is mapped, so that a header costs no system call."""
    fs, path = filesystem(uri)
    with contextlib.ExitStack() as stack:
        if isinstance(fs, LocalFileSystem):
            total = os.stat(path).st_size
            if total == 0:  # nothing to map
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
            return cast(bytes, file.read(length))

        yield read, total


def coalesce(members: list[Member]) -> list[tuple[int, int, list[int]]]:
    """(start, stop, positions in `members`) of each request, in the order of the tar."""
    ranges: list[tuple[int, int, list[int]]] = []
    for position in sorted(range(len(members)), key=lambda i: members[i].offset):
        start, stop = members[position].offset, members[position].offset + members[position].length
        if ranges and start - ranges[-1][1] <= MAX_GAP and stop - ranges[-1][0] <= MAX_RANGE:
            first, last, positions = ranges[-1]
            positions.append(position)
            ranges[-1] = (first, max(last, stop), positions)
        else:
            ranges.append((start, stop, [position]))
    return ranges


def write_file(uri: str | os.PathLike[str], data: bytes) -> None:
    """Write a small file whole: under a temporary name, then renamed."""
    fs, path = filesystem(uri)
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    temporary = partial_name(path)
    fs.pipe_file(temporary, data)
    fs.mv(temporary, path)


def index_name(tar: str) -> str:
    """`NAME.index.parquet` for `NAME.tar`."""
    return tar.removesuffix(".tar") + INDEX_SUFFIX


def partial_name(path: str) -> str:
    """A name for `path` while it is being written; hidden, unlike any other, and no reader takes it."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL_SUFFIX}")


def join(uri: str | os.PathLike[str], *names: str) -> str:
    """`uri` and the names below it."""
    return "/".join([os.fspath(uri).rstrip("/"), *names])


def write_table(uri: str | os.PathLike[str], table: pa.Table) -> None:
    """Write a parquet file whole: under a temporary name, then renamed."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_file(uri, buffer.getvalue())


def remove_partials(folder: str | os.PathLike[str], name: str) -> None:
    """Delete what killed writers of `folder/NAME.*` left behind under temporary names."""
    fs, path = filesystem(folder)
    for leftover in fs.glob(posixpath.join(_literal(path), f".{_literal(name)}.*{PARTIAL_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(leftover)


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
