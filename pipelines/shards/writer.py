"""Writes tars deterministically: the same samples give the same bytes on any machine.

POSIX pax format, mtime 0, owner 0/0 without names, mode 0644, the members of a sample in the order of their extensions.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from pipelines.common.causes import name_file
from pipelines.common.files import (
    Uri,
    filesystem,
    parquet_bytes,
    partial_name,
    remove_file,
    sync_file,
    sync_folder,
)
from pipelines.shards.names import fault_of_name, split_name
from pipelines.shards.storage import index_name
from pipelines.shards.stored import Content
from pipelines.shards.tar_format import BLOCK, Member

RECORD = 20 * BLOCK  # tar files are padded to whole records
INDEX_SCHEMA = pa.schema(
    [("key", pa.string()), ("extension", pa.string()), ("offset", pa.int64()), ("length", pa.int64())]
)


@dataclass(frozen=True)
class ShardInfo:
    """A written shard: the tar's URI, the number of samples, the tar's size in bytes, its sha256, and its members."""

    uri: str
    samples: int
    size: int
    sha256: str
    members: list[Member] = field(default_factory=list, compare=False, repr=False)


def write_shard(uri: Uri, samples: Iterable[tuple[str, Mapping[str, Content]]]) -> ShardInfo:
    """Write a tar and its index under temporary names, then rename both; local files are on the disk (fsync) before.

    Samples stay in the order given.

    A member that is `Stored` in another tar is copied in pieces. Raises ValueError on a key that comes twice, and on
    a name that is unsafe (`names.fault_of_name`) or would not be read back under the same key.
    """
    fs, path = filesystem(uri)
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    index = index_name(path)
    tar_partial, index_partial = partial_name(path), partial_name(index)
    members: list[Member] = []
    keys: set[str] = set()
    is_local = isinstance(fs, LocalFileSystem)
    try:
        with open(tar_partial, "wb") if is_local else fs.open(tar_partial, "wb") as file:
            out = _HashingWriter(file)
            for key, parts in samples:
                if key in keys:
                    raise ValueError(f"key {key!r} comes twice; a shard holds each key once")
                keys.add(key)
                for extension in sorted(parts):
                    members.append(_append(out, key, extension, parts[extension]))
            out.write(bytes(2 * BLOCK))
            out.write(bytes(-out.size % RECORD))
        with open(index_partial, "wb") if is_local else fs.open(index_partial, "wb") as file:
            file.write(parquet_bytes(_index(members)))
        if is_local:  # without this a power cut may leave a committed shard empty
            sync_file(tar_partial)
            sync_file(index_partial)
        # The old index is removed first, so that no index ever lies beside a tar that it does not describe.
        remove_file(index_name(os.fspath(uri)))
        if is_local:
            os.replace(tar_partial, path)
            os.replace(index_partial, index)
            sync_folder(posixpath.dirname(path))
        else:
            fs.mv(tar_partial, path)
            fs.mv(index_partial, index)
    except BaseException as error:
        name_file(error, path)
        for leftover in (tar_partial, index_partial):
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(leftover)
        raise
    return ShardInfo(os.fspath(uri), len(keys), out.size, out.sha256.hexdigest(), members)


def _index(members: list[Member]) -> pa.Table:
    columns = list(zip(*members, strict=True)) or [()] * len(INDEX_SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INDEX_SCHEMA, strict=True)]
    return pa.table(arrays, schema=INDEX_SCHEMA)


class _HashingWriter:
    """Passes bytes on to a file; counts them and computes their sha256."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)
        self.sha256.update(data)


def _append(out: _HashingWriter, key: str, extension: str, content: Content) -> Member:
    name = f"{key}.{extension}"
    if split_name(name) != (key, extension):
        raise ValueError(f"{name!r} is no name for extension {extension!r} under key {key!r}")
    fault = fault_of_name(name)
    if fault is not None:
        raise ValueError(
            f"{name!r} has {fault}, and could leave the folder in which a shard is unpacked; rename it"
        )
    length = len(content) if isinstance(content, bytes) else content.length
    header = tarfile.TarInfo(name)  # its defaults are ours: mtime 0, uid and gid 0, no owner names, mode 0644
    header.size = length
    out.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    offset = out.size
    for piece in (content,) if isinstance(content, bytes) else content:
        out.write(piece)
    out.write(bytes(-length % BLOCK))
    return Member(key, extension, offset, length)
