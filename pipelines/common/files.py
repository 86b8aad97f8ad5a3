"""Reads JSON and writes files whole: under a temporary name, then renamed, so that a reader never sees half a file.

A local file is on the disk (fsync) before it has its name, so a power cut leaves the old file or the new one.

A URI is anything that fsspec opens (`s3://bucket/key`, `memory://x`, a local path); local files go through the
operating system directly. A URI's folders are made where they are missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import re
import uuid
from collections.abc import Sequence
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
_LOCAL = LocalFileSystem()
_PARTIAL = re.compile(rf"\.(.+)\.[0-9a-f]{{12}}{re.escape(PARTIAL_SUFFIX)}", re.DOTALL)
"""What `partial_name` makes of a name."""
SMALL_TABLE = 16 * 1024  # bytes in memory


def filesystem(uri: Uri) -> tuple[AbstractFileSystem, str]:
    """The file system that a URI lies on, and its path there.

    What has no `://` is a local path, whatever its characters; fsspec would take `a::b` for two file systems. Raises
    InputError where the storage is unknown or its package is not installed.
    """
    local = local_path(uri)
    if local is not None:
        return _LOCAL, local
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


def write_bytes(uri: Uri, data: bytes | memoryview, *, lasting: bool = True) -> None:
    """Write a file of these bytes; an older file under the same name is replaced.

    Without `lasting` nothing waits for the disk: a power cut may take the new file away again, bring the older one
    back, or leave zeros in the place of its bytes, so that its reader must tell a damaged file. (A killed process
    leaves a whole file.) It spares most of the cost of a small file.
    """
    fs, path = filesystem(uri)
    temporary = partial_name(path)
    try:
        if isinstance(fs, LocalFileSystem):
            _write_local(temporary, data, lasting)
            os.replace(temporary, path)
            if lasting:
                sync_folder(os.path.dirname(path))
        else:
            fs.makedirs(posixpath.dirname(path), exist_ok=True)
            fs.pipe_file(temporary, bytes(data))
            fs.mv(temporary, path)
    except BaseException as error:
        name_file(error, path)
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(temporary)
        raise


def _write_local(path: str, data: bytes | memoryview, lasting: bool) -> None:
    """Write a file, whose folders are made where they are missing; with `lasting` wait until the disk holds its bytes.

    Without the wait, a power cut after a rename may leave an empty file under the final name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    with open(descriptor, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:  # a system call writes at most 2 GiB
            rest = rest[file.write(rest) :]
        if lasting:
            os.fsync(file.fileno())


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
    if indent is None:
        text = json.dumps(value, ensure_ascii=ensure_ascii, sort_keys=sort_keys)
    else:
        text = indented_json(value, indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys)
    write_text(uri, text + end, errors=errors)


def indented_json(
    value: object, indent: int = 1, *, ensure_ascii: bool = False, sort_keys: bool = False
) -> str:
    """What `json.dumps` gives with these options, in about a quarter of its time.

    With `indent` the standard library encodes every value in Python; here that is done for containers of containers.
    """
    encode = json.JSONEncoder(ensure_ascii=ensure_ascii, sort_keys=sort_keys).encode

    def text(value: object, margin: str) -> str:
        if not isinstance(value, (dict, list, tuple)) or not value:
            return str(value) if type(value) is int else encode(value)
        inner = margin + " " * indent
        values = value.values() if isinstance(value, dict) else value
        if any(isinstance(one, (dict, list, tuple)) for one in values):
            if isinstance(value, dict):
                items = sorted(value.items()) if sort_keys else value.items()
                # Encoded as a key: numbers, true and null become texts.
                parts = [
                    f"{encode(key) if isinstance(key, str) else encode({key: 0})[1:-4]}: {text(one, inner)}"
                    for key, one in items
                ]
            else:
                parts = [text(one, inner) for one in value]
            body = f",{inner}".join(parts)
        else:
            flat = json.JSONEncoder(
                ensure_ascii=ensure_ascii, sort_keys=sort_keys, separators=(f",{inner}", ": ")
            )
            body = flat.encode(value)[1:-1]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return f"{opening}{inner}{body}{margin}{closing}"

    return text(value, "\n")


# Any: what JSON holds; the caller says by an annotation what it expects.
def read_json(uri: Uri) -> Any | None:
    """Return what a JSON file holds; None where there is no file. Raises ValueError when it is no JSON."""
    fs, path = filesystem(uri)
    return json.loads(fs.cat_file(path)) if fs.isfile(path) else None


def write_parquet(uri: Uri, table: pa.Table, *, compression: str | None = None, lasting: bool = True) -> None:
    """Write an Arrow table as a Parquet file; it is built in memory first. `lasting`: see `write_bytes`."""
    write_bytes(uri, parquet_bytes(table, compression), lasting=lasting)


def parquet_bytes(table: pa.Table, compression: str | None = None) -> memoryview:
    """An Arrow table as the bytes of a Parquet file with checksums, compressed with zstd unless said otherwise.

    A table below SMALL_TABLE is then written as it is: statistics, dictionaries and compression would take more time
    than all the rest and save few blocks of the disk.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    if compression is None and table.nbytes < SMALL_TABLE:
        options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    else:
        options = {"compression": compression or "zstd"}
    pq.write_table(table, out, write_page_checksum=True, **options)
    return memoryview(out.getvalue())


def read_parquet(uri: Uri, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Read a Parquet file, or some of its columns; None where there is no file.

    Raises ArrowException or OSError for a damaged file, which checksums tell. In one thread and without
    `pyarrow.dataset`, through which `pyarrow.parquet.read_table` goes and which takes 0.4 ms a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fs, path = filesystem(uri)
    try:
        if isinstance(fs, LocalFileSystem):
            with open(path, "rb", buffering=0) as file:
                data = file.readall()
        else:
            data = fs.cat_file(path)
    except FileNotFoundError:
        return None
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False, page_checksum_verification=True) as parquet:
        return parquet.read(columns=None if columns is None else list(columns), use_threads=False)


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
    if isinstance(fs, LocalFileSystem):  # nothing is asked about files that stay
        files = [posixpath.join(path, name) for name in os.listdir(path) if name.endswith(PARTIAL_SUFFIX)]
    else:
        files = fs.ls(path, detail=False)
    for file in files:
        partial = _PARTIAL.fullmatch(posixpath.basename(file))
        if partial and (not names or partial[1] in names):
            remove_file(fs.unstrip_protocol(file))
