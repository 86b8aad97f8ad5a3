"""An object store of metadata alone: it lists and serves files that nobody has stored, and counts requests by kind."""

from __future__ import annotations

import datetime
import io
import posixpath
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import fsspec
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

PAGE = 1000  # names that one answer to a listing holds
PROTOCOL = "simulated"
MODIFIED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class SimulatedStore(AbstractFileSystem):
    """Folders of `folders`, each a function from nothing to the names in it and one from a name to its bytes or size.

    What is written is kept. A listing's entries have what those of S3 have. `requests` counts LIST (one per PAGE
    names), HEAD, GET, PUT, COPY and DELETE.
    """

    protocol = PROTOCOL
    folders: ClassVar[dict[str, tuple[Callable[[], list[str]], Callable[[str], bytes | int]]]] = {}
    stored: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[Counter[str]] = Counter()
    kinds: ClassVar[Counter[str]] = Counter()

    def _count(self, kind: str, path: str, number: int = 1) -> None:
        self.requests[kind] += number
        self.kinds[f"{kind} {posixpath.dirname(path)}"] += number

    def _content(self, path: str) -> bytes | int | None:
        path = self._strip_protocol(path)
        if path in self.stored:
            return self.stored[path]
        folder, name = posixpath.split(path)
        if folder in self.folders and name:
            _, content = self.folders[folder]
            try:
                return content(name)
            except KeyError:
                return None
        return None

    def _entry(self, path: str, size: int) -> dict[str, Any]:
        # What s3fs keeps of each key.
        return {
            "Key": path,
            "LastModified": MODIFIED,
            "ETag": f'"{abs(hash(path)):032x}"',
            "Size": size,
            "StorageClass": "STANDARD",
            "type": "file",
            "size": size,
            "name": path,
        }

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        names = [posixpath.basename(one) for one in self.stored if posixpath.dirname(one) == path]
        if path in self.folders:
            names += self.folders[path][0]()
        below = [one for one in self.folders if posixpath.dirname(one) == path]
        self._count("LIST", path + "/", max(1, -(-len(names) // PAGE)))
        if not names and not below and not any(one.startswith(path + "/") for one in self.stored):
            raise FileNotFoundError(path)
        found: list[Any] = []
        for name in names:
            content = (
                self._content(f"{path}/{name}") if path not in self.folders or name in self.stored else 0
            )
            size = content if isinstance(content, int) else len(content or b"")
            if path in self.folders:
                size = self.size_of(path, name)
            found.append(self._entry(f"{path}/{name}", size))
        found += [{"name": one, "type": "directory", "size": 0} for one in below]
        return found if detail else [entry["name"] for entry in found]

    def size_of(self, folder: str, name: str) -> int:
        """The size that a listing shows; contents are not made for it."""
        path = f"{folder}/{name}"
        if path in self.stored:
            return len(self.stored[path])
        return SIZES.get(folder, lambda _: 1)(name)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        self._count("HEAD", path)
        content = self._content(path)
        if content is not None:
            return self._entry(path, content if isinstance(content, int) else len(content))
        inside = [*self.folders, *self.stored]
        if any(one == path or one.startswith(path + "/") for one in inside):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        path = self._strip_protocol(path)
        self._count("GET", path)
        content = self._content(path)
        if not isinstance(content, bytes):
            raise FileNotFoundError(path)
        return content[start:end]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        path = self._strip_protocol(path)
        return _Upload(self, path) if mode == "wb" else _Reader(self, path, mode)

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        path = self._strip_protocol(path)
        self._count("PUT", path)
        self.stored[path] = bytes(value)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        self._count("COPY", path2)
        self.stored[self._strip_protocol(path2)] = self.stored[self._strip_protocol(path1)]

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        self.cp_file(path1, path2)
        self.rm_file(path1)

    def rm_file(self, path: str) -> None:
        self._count("DELETE", path)
        self.stored.pop(self._strip_protocol(path), None)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        return None

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        return None


class _Reader(AbstractBufferedFile):
    """A file that is read in blocks of 5 MiB, each a GET."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end)


class _Upload(io.BytesIO):
    """A file that is stored when it is closed, by one PUT."""

    def __init__(self, store: SimulatedStore, path: str) -> None:
        super().__init__()
        self.store, self.path = store, path

    def close(self) -> None:
        if not self.closed:
            self.store.pipe_file(self.path, self.getvalue())
        super().close()


SIZES: dict[str, Callable[[str], int]] = {}
"""Of a folder: the size of a file by name."""

fsspec.register_implementation(PROTOCOL, SimulatedStore, clobber=True)
