"""Reads JSON and writes files whole: under a temporary name, then renamed, so that a reader never sees half a file.

A local file is on the disk (fsync) before it has its name, so a power cut leaves the old file or the new one.

A URI is anything that fsspec opens (`s3://bucket/key`, `memory://x`, a local path); local files go through the
operating system directly. A URI's folders are made where they are missing.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import posixpath
import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from data_filters.errors import InputError
from pipelines.common.causes import name_file
from pipelines.common.paths import local_path

if TYPE_CHECKING:
    import pyarrow as pa

Uri = str | os.PathLike[str]
PARTIAL_SUFFIX = ".partial"
_PARTIAL = re.compile(rf"\.(.+)\.[0-9a-f]{{12}}{re.escape(PARTIAL_SUFFIX)}", re.DOTALL)
"""What `partial_name` makes of a name."""


def filesystem(uri: Uri) -> tuple[AbstractFileSystem, str]:
    """The file system that a URI lies on, and its path there.

    What has no `://` is a local path, whatever its characters; fsspec would take `a::b` for two file systems. Raises
    InputError where the storage is unknown or its package is not installed.
    """
    local = local_path(uri)
    if local is not None:
        return LocalFileSystem(), local
    try:
        fs, path = fsspec.url_to_fs(os.fspath(uri))
    except (ValueError, ImportError) as error:
        raise InputError(
            f"{os.fspath(uri)}: {error}; give a URI of a storage that fsspec can open"
        ) from error
    return fs, path


def absolute(uri: Uri) -> str:
    """Make a local path absolute, `~` being the user's home; return a URI with a protocol without its last slash."""
    text = os.fspath(uri)
    return text.rstrip("/") if "://" in text else local_path(text) or text


def join(uri: Uri, *names: str) -> str:
    """`uri` and the names below it."""
    return "/".join([os.fspath(uri).rstrip("/"), *names])


def write_bytes(uri: Uri, data: bytes) -> None:
    """Write a file of these bytes; an older file under the same name is replaced."""
    fs, path = filesystem(uri)
    with _renamed_at_the_end(fs, path) as temporary:
        if isinstance(fs, LocalFileSystem):
            with open(temporary, "wb") as file:
                file.write(data)
        else:
            fs.pipe_file(temporary, data)


def write_text(uri: Uri, text: str, *, errors: str = "strict") -> None:
    """Write text as UTF-8; `errors="replace"` writes `?` for what UTF-8 cannot hold (a lone surrogate)."""
    write_bytes(uri, text.encode("utf-8", errors))


def write_json(
    uri: Uri,
    value: object,
    *,
    indent: int | None = 1,
    ensure_ascii: bool = False,
    sort_keys: bool = False,
    end: str = "\n",
    errors: str = "strict",
) -> None:
    """Write a value as JSON in UTF-8, `end` after it; the other options are those of `json.dumps` and `write_text`."""
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys)
    write_text(uri, text + end, errors=errors)


# Any: what JSON holds; the caller says by an annotation what it expects.
def read_json(uri: Uri) -> Any | None:
    """Return what a JSON file holds; None where there is no file. Raises ValueError when it is no JSON."""
    fs, path = filesystem(uri)
    return json.loads(fs.cat_file(path)) if fs.isfile(path) else None


def write_parquet(uri: Uri, table: pa.Table, *, compression: str = "zstd") -> None:
    """Write an Arrow table as a Parquet file; it is built in memory first."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression=compression)
    write_bytes(uri, buffer.getvalue())


def sync_file(path: Uri) -> None:
    """Wait until the disk holds the bytes of a local file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Uri) -> None:
    """Wait until the disk holds the names in a local folder, as after a rename; where no disk can, nothing happens."""
    with contextlib.suppress(OSError):  # some network file systems refuse this for folders
        sync_file(path)


def sync_tree(folder: Uri) -> None:
    """Wait until the disk holds every file and folder below a local folder, and the folder itself."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(os.path.join(parent, name))
        sync_folder(parent)


def partial_name(path: str) -> str:
    """A temporary name for `path` while it is written: hidden, in the same folder, different at every call."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL_SUFFIX}")


def remove_file(uri: Uri) -> None:
    """Delete a file; nothing happens where there is none."""
    fs, path = filesystem(uri)
    with contextlib.suppress(FileNotFoundError):
        fs.rm_file(path)


def remove_partials(folder: Uri, *names: str) -> None:
    """Delete the temporary files that a killed process left in a folder: of the files `names`, or of all."""
    fs, path = filesystem(folder)
    if not fs.isdir(path):
        return
    for file in fs.ls(path, detail=False):
        partial = _PARTIAL.fullmatch(posixpath.basename(file))
        if partial and (not names or partial[1] in names):
            remove_file(fs.unstrip_protocol(file))


@contextlib.contextmanager
def _renamed_at_the_end(fs: AbstractFileSystem, path: str) -> Iterator[str]:
    """A temporary name to write under: renamed to `path` on success, deleted on an error."""
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    temporary = partial_name(path)
    try:
        yield temporary
        if isinstance(fs, LocalFileSystem):
            # Without the first, a power cut after the rename may leave an empty file under the final name.
            sync_file(temporary)
            os.replace(temporary, path)
            sync_folder(os.path.dirname(path))
        else:
            fs.mv(temporary, path)
    except BaseException as error:
        name_file(error, path)
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(temporary)
        raise
