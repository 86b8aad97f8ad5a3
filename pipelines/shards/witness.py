"""A witness of a file: facts that a listing gives, by which a file is known to be unchanged without reading it."""

from __future__ import annotations

import os
from typing import NamedTuple

from fsspec.implementations.local import LocalFileSystem

from pipelines.common.files import Uri, filesystem


class Witness(NamedTuple):
    """Facts of a file at one moment. Two witnesses that are equal stand for equal bytes; unequal ones prove nothing.

    A local file has `mtime_ns` (time of the last change, in ns) and `inode`; a file of an object store has `version`,
    which is its ETag or whatever its store changes with every write. What a store does not tell is None.
    """

    size: int | None
    mtime_ns: int | None = None
    inode: int | None = None
    version: str | None = None

    @property
    def is_telling(self) -> bool:
        """Whether another file of the same size would have another witness."""
        return self.mtime_ns is not None or self.version is not None


def witness(uri: Uri) -> Witness:
    """Take the witness of a file. Raises FileNotFoundError when there is none."""
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        facts = os.stat(path)
        return Witness(facts.st_size, facts.st_mtime_ns, facts.st_ino)
    fs.invalidate_cache(os.path.dirname(path))  # a listing of before would hide a change
    found = fs.info(path)
    size = found.get("size")
    for key in _VERSIONS:
        if found.get(key) is not None:
            return Witness(None if size is None else int(size), version=str(found[key]))
    return Witness(None if size is None else int(size))


_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "content_md5",
    "md5",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)
"""Entries of fsspec's `info` that change with every write, of S3, GCS, Azure and others, the surest first."""
