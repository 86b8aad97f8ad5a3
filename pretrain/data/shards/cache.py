"""Local copies of remote shards: fetched whole, ahead of their use, least recently used ones dropped.

All workers of a machine share one folder, so a shard comes over the network once a machine, not once a worker. A file
lock stands for each shard being fetched and one for the folder's room; a copy appears by renaming, whole and checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec

from data_filters.errors import InputError

logger = logging.getLogger(__name__)

CHUNK = 8 * 1024 * 1024  # bytes
ABANDONED = 3600  # seconds after which a copy that nobody finished is removed


@dataclass(frozen=True)
class Remote:
    """A shard to fetch: where it lies, and the sha256 that its manifest names ("" when there is no manifest)."""

    uri: str
    sha256: str = ""

    @property
    def name(self) -> str:
        """Of its local copy. Content, where known, names it, so data made anew is never mixed up with the old."""
        return hashlib.sha256(f"{self.uri} {self.sha256}".encode()).hexdigest()[:32] + ".tar"


class ShardCache:
    """At most `limit` bytes of shards in `folder`."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob("*.partial"):
            with contextlib.suppress(OSError):
                if time.time() - partial.stat().st_mtime > ABANDONED:
                    partial.unlink()
        self._wanted: list[Remote] = []
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def path(self, shard: Remote) -> Path:
        """The local copy; fetched here and now where it is not there yet.

        Raises OSError when it cannot be fetched, ValueError when it is not what its manifest names, InputError when it
        is larger than the whole cache.
        """
        self._fetch(shard, ahead=False)
        return self.folder / shard.name

    def expect(self, shards: Sequence[Remote]) -> None:
        """These are needed next, in this order: a background thread fetches them as far as there is room."""
        with self._news:
            if list(shards) == self._wanted:
                return
            self._wanted = list(shards)
            self._news.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._fetch_ahead, name="loupe-fetch", daemon=True)
                self._thread.start()

    def _fetch_ahead(self) -> None:
        while True:
            with self._news:
                wanted = self._wanted
            for shard in wanted:
                with self._news:
                    if self._wanted is not wanted:
                        break
                try:
                    if not self._fetch(shard, ahead=True):
                        break  # no room before older ones are done with
                except Exception as error:  # whoever reads the shard meets it again, and says so
                    logger.warning("cannot fetch %s ahead: %s: %s", shard.uri, type(error).__name__, error)
            with self._news:
                if self._wanted is wanted:
                    self._news.wait()

    def _fetch(self, shard: Remote, ahead: bool) -> bool:
        """Whether the copy is there now; False only where `ahead` finds no room."""
        target = self.folder / shard.name
        with self._locked(shard.name):
            if target.exists():
                os.utime(target)
                return True
            fs, path = fsspec.url_to_fs(shard.uri)
            partial = target.with_suffix(f".{os.getpid()}.{threading.get_ident()}.partial")
            try:
                if not self._reserve(partial, int(fs.size(path)), shard, ahead):
                    return False
                digest = hashlib.sha256()
                with fs.open(path, "rb", block_size=CHUNK) as source, partial.open("r+b") as copy:
                    while block := source.read(CHUNK):
                        copy.write(block)
                        digest.update(block)
                if shard.sha256 and digest.hexdigest() != shard.sha256:
                    raise ValueError(
                        f"{shard.uri} has sha256 {digest.hexdigest()}, its manifest says {shard.sha256}"
                    )
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
        return True

    def _reserve(self, partial: Path, size: int, shard: Remote, ahead: bool) -> bool:
        """Drop the oldest copies until `size` more bytes fit, and take that room with a file of that size."""
        if size > self.limit:
            raise InputError(
                f"{shard.uri} has {size} bytes, the cache of remote shards holds {self.limit}; raise data.cache_gib"
            )
        with self._locked("room"):
            there = [
                (path, path.stat()) for path in self.folder.iterdir() if path.suffix in (".tar", ".partial")
            ]
            total = sum(status.st_size for _, status in there)
            needed = {wanted.name for wanted in self._wanted}
            droppable = sorted(
                (status.st_mtime, path, status.st_size) for path, status in there if path.suffix == ".tar"
            )
            spared = [entry for entry in droppable if entry[1].name in needed]
            droppable = [entry for entry in droppable if entry[1].name not in needed]
            if not ahead:  # what is read now comes before what is read next
                droppable += spared
            for _, path, held in droppable:
                if total + size <= self.limit:
                    break
                path.unlink(missing_ok=True)
                total -= held
            if total + size > self.limit and ahead:
                return False
            with partial.open("wb") as file:
                file.truncate(size)
        return True

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.folder / f".{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
