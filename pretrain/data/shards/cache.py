"""Local copies of remote shards: fetched whole before they are needed; the least recently used ones are dropped.

All workers of a machine share one folder, so that a shard is fetched once per machine, not once per worker. A file
lock guards each shard that is being fetched, and one the space in the folder; a copy is complete and checked before it
is renamed to its final name.
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

from data_filters.errors import InputError
from pipelines.common.files import filesystem

logger = logging.getLogger(__name__)

CHUNK = 8 * 1024 * 1024  # bytes
ABANDONED = 3600  # seconds after which an unfinished copy is removed


@dataclass(frozen=True)
class Remote:
    """A shard to fetch: its URI, and the sha256 that its manifest names.

    Without a manifest `sha256` is "", and `version` tells two files under the same URI apart.
    """

    uri: str
    sha256: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """File name of the local copy: new data under an old URI is another copy."""
        key = f"{self.uri} {self.sha256 or self.version}"
        return hashlib.sha256(key.encode()).hexdigest()[:32] + ".tar"


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
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def path(self, shard: Remote) -> Path:
        """The path of the local copy; the shard is fetched first where there is none yet.

        Raises OSError when it cannot be fetched, ValueError when its sha256 is not that of its manifest, InputError
        when it is larger than the whole cache.
        """
        self._fetch(shard, ahead=False)
        return self.folder / shard.name

    def expect(self, shards: Sequence[Remote]) -> None:
        """Announce the shards that are needed next, in order: a thread fetches them as far as there is space."""
        with self._changed:
            if list(shards) == self._wanted:
                return
            self._wanted = list(shards)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._fetch_ahead, name="loupe-fetch", daemon=True)
                self._thread.start()

    def _fetch_ahead(self) -> None:
        while True:
            with self._changed:
                wanted = self._wanted
            for shard in wanted:
                with self._changed:
                    if self._wanted is not wanted:
                        break
                try:
                    if not self._fetch(shard, ahead=True):
                        break  # no space before older ones are used
                except Exception as error:  # reading the shard will raise it again
                    logger.warning("cannot fetch %s ahead: %s: %s", shard.uri, type(error).__name__, error)
            with self._changed:
                if self._wanted is wanted:
                    self._changed.wait()

    def _fetch(self, shard: Remote, ahead: bool) -> bool:
        """Whether the copy exists now; False only where `ahead` finds no space."""
        target = self.folder / shard.name
        with self._locked(shard.name):
            if target.exists():
                os.utime(target)
                return True
            fs, path = filesystem(shard.uri)
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
        """Drop the oldest copies until `size` more bytes fit, and reserve that space with a file of that size.

        With `ahead`, copies that are announced are kept, and the answer may be False: no space.
        """
        if size > self.limit:
            raise InputError(
                f"{shard.uri} has {size} bytes, the cache of remote shards holds {self.limit}; raise data.cache_gib"
            )
        with self._locked("room"):
            files = [
                (path, path.stat()) for path in self.folder.iterdir() if path.suffix in (".tar", ".partial")
            ]
            total = sum(status.st_size for _, status in files)
            announced = {remote.name for remote in self._wanted}
            copies = sorted(
                (status.st_mtime, path, status.st_size) for path, status in files if path.suffix == ".tar"
            )
            droppable = [copy for copy in copies if copy[1].name not in announced]
            if not ahead:  # a shard that is read now has priority over those that are read next
                droppable += [copy for copy in copies if copy[1].name in announced]
            for _, path, copy_size in droppable:
                if total + size <= self.limit:
                    break
                path.unlink(missing_ok=True)
                total -= copy_size
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
