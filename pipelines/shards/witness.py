"""Tells whether a shard still holds the bytes that were read, without reading it again.

A shard is its bytes: their sha256. Beside a stored sha256 stands a witness, which costs one look at the file system:
size, modification time (ns) and inode of a local file; size and ETag or modification time of a remote one. Where the
witness is equal the sha256 stands; where it is not the bytes decide.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

from fsspec.implementations.local import LocalFileSystem

from pipelines.common.causes import RunFailed
from pipelines.common.files import Uri, filesystem

CLOCK_TICK_NS = 20_000_000  # file systems stamp changes with a clock that may stand still for this long

_REMOTE_MARKS = (
    "ETag",
    "etag",
    "md5",
    "md5Hash",
    "crc32c",
    "checksum",
    "generation",
    "LastModified",
    "last_modified",
    "mtime",
    "modified",
    "updated",
    "created",
)


class ShardChanged(RunFailed):
    """A shard was changed by somebody while it was at work."""


@dataclass(frozen=True)
class Witness:
    """`size` in bytes, and a `mark` that changes with the content; an empty mark vouches for nothing."""

    size: int
    mark: str

    def vouches(self, other: Witness | None) -> bool:
        """Whether equal witnesses prove, for all practical purposes, equal bytes under the same URI."""
        return bool(self.mark) and self == other

    def as_json(self) -> dict[str, int | str]:
        """The witness as a record holds it."""
        return asdict(self)

    # Any: the value comes from a file that anybody may have written.
    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """The inverse of `as_json`; None where the value is no witness."""
        if not isinstance(value, Mapping):
            return None
        size, mark = value.get("size"), value.get("mark")
        return cls(size, mark) if isinstance(size, int) and isinstance(mark, str) else None


def witness(uri: Uri) -> Witness:
    """Look a file up, bypassing the listings that fsspec keeps. Raises FileNotFoundError where there is none.

    A local file that changed within the last 20 ms is waited for, so that a later change gets another time.
    """
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        stat = os.stat(path)
        if 0 <= time.time_ns() - stat.st_mtime_ns < CLOCK_TICK_NS:
            time.sleep(CLOCK_TICK_NS / 1e9)
            stat = os.stat(path)
        return Witness(stat.st_size, f"{stat.st_mtime_ns}:{stat.st_ino}")
    fs.invalidate_cache(path)
    fs.invalidate_cache(fs._parent(path))
    return witness_of(fs.info(path))


# Any: what fsspec says of a file.
def witness_of(info: Mapping[str, Any]) -> Witness:
    """The witness of a remote file, from what its storage says of it."""
    marks = [f"{name}={info[name]}" for name in _REMOTE_MARKS if info.get(name) is not None]
    return Witness(int(info["size"]), ";".join(marks))


def check_unchanged(uri: Uri, before: Witness) -> None:
    """Raise ShardChanged, naming the file, when its witness is no longer the one taken before it was read."""
    try:
        now = witness(uri)
    except FileNotFoundError:
        raise ShardChanged(
            f"{os.fspath(uri)} was removed while it was read; put it back and run again"
        ) from None
    if now != before:
        raise ShardChanged(
            f"{os.fspath(uri)} was changed while it was read ({before.size} bytes before, {now.size} now); "
            "wait until whatever writes it has ended and run again"
        )


def read_sha256(uri: Uri) -> tuple[str, Witness]:
    """Read a whole file: its sha256 in hex, and the witness that held before and after.

    Raises ShardChanged when the file changes meanwhile.
    """
    before = witness(uri)
    fs, path = filesystem(uri)
    with open(path, "rb") if isinstance(fs, LocalFileSystem) else fs.open(path, "rb") as file:
        digest = hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
    check_unchanged(uri, before)
    return digest, before
