"""A file in a folder that says which process owns the folder: `acquire`, `renew`, `release`.

Why a file and not the system's own locks: `flock` ends with its process and would do for one machine, but on shared
file systems (NFS without lockd, Lustre without `-o flock`, FUSE) it is refused or holds on one machine only, and it
names no owner. The file names the owner, and needs only what every such file system does as one step: `link` to a name
that is free, and `rename`.

The file is complete when it appears (a hidden file is written, then linked to the name). Its owner is

- gone, when it is a process of this host that has ended: the folder is taken over at once;
- silent, when this host cannot see the process (another machine or container) and nothing has renewed the file for
  `Patience.silent` seconds. Clocks of two machines differ, so renewals are observed: the taker watches whether the
  file changes. The file's age, by the clock of the file system, only shortens the watch, to `Patience.least`.

Taking over: a hidden file `.owner.ID.next`, ID being that of the owner that is gone, is linked; of several takers one
succeeds. It looks again whether the lock is still that owner's, and renames its own record over it. A taker that
ended in between is itself the owner to look at. Releasing goes the same way, so that nobody takes over meanwhile and
the lock of another is never deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipelines.common.processes import Process, runs, this_process

NAME = ".owner.json"
_PREFIX = ".owner."
_UNKNOWN = "unknown"
_LEFT_BEHIND = 3600  # seconds after which a hidden file of a killed process is deleted


@dataclass(frozen=True)
class Patience:
    """Seconds: between two renewals, without one before an owner elsewhere is given up, the shortest watch, a look."""

    renewal: float = 10
    silent: float = 60
    least: float = 25  # two renewals, and some delay of a network
    look: float = 0.5


@dataclass(frozen=True)
class Owner:
    """What a lock file says. `started` is a local time for people; `renewals` grows with every sign of life."""

    process: Process
    command: str
    started: str
    id: str
    renewals: int = 0

    def text(self) -> bytes:
        """The record as JSON of one line, of the same length after every renewal."""
        values = {**asdict(self), "renewals": f"{self.renewals:012d}"}
        return json.dumps(values).encode("ascii") + b"\n"


class Held(Exception):
    """Another process owns the folder."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(f"held by process {owner.process.pid} on {owner.process.host}")
        self.owner = owner


class Lost(Held):
    """Another process has taken the folder over: this one gave no sign of life for too long."""


def is_lock(name: str) -> bool:
    """Whether a file of this name belongs to the lock of its folder."""
    return name.startswith(_PREFIX)


@dataclass
class LockFile:
    """The lock of one local folder, for this process."""

    folder: Path
    command: str
    patience: Patience = field(default_factory=Patience)
    waiting: Callable[[Owner, float], None] = lambda owner, seconds: None
    """Called once when an owner elsewhere has to be watched for so many seconds."""
    _owner: Owner | None = field(default=None, init=False)
    _file: int = field(default=-1, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    @property
    def path(self) -> Path:
        """The lock file."""
        return self.folder / NAME

    def acquire(self) -> None:
        """Own the folder, which exists. Raises Held when another process does, OSError when nothing can be written."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        owner = Owner(this_process(), self.command, started, uuid.uuid4().hex)
        with self._written(owner) as own:
            while not self._try(own, owner):
                pass
            self._remove_left_behind(own)
        self._owner, self._file = owner, os.open(self.path, os.O_RDWR)

    def renew(self) -> None:
        """Give a sign of life. Raises Lost when the folder is another's meanwhile, OSError when it fails otherwise.

        A lock file that somebody deleted is made again.
        """
        with self._lock:
            if self._owner is None:
                return
            found = _read(self.path)
            if found is None:
                os.close(self._file)
                self._owner = None
                try:
                    self.acquire()
                except Held as held:
                    raise Lost(held.owner) from held
            elif found.id != self._owner.id:
                raise Lost(found)
            else:
                self._owner = replace(self._owner, renewals=self._owner.renewals + 1)
                # Into the file that this process made, whatever the name holds by now.
                os.pwrite(self._file, self._owner.text(), 0)
                os.fsync(self._file)

    def release(self) -> None:
        """Give the folder back; does nothing when it is another's meanwhile."""
        with self._lock:
            owner, self._owner = self._owner, None
            if owner is None:
                return
            os.close(self._file)
            claim = self._claim(owner)
            with contextlib.suppress(OSError), self._written(owner) as own:
                if not _link(own, claim):
                    return
                found = _read(self.path)
                if found is not None and found.id == owner.id:
                    self.path.unlink()
                claim.unlink()

    def _try(self, own: Path, owner: Owner) -> bool:
        """One attempt: True when this process owns the folder. Raises Held."""
        if _link(own, self.path):
            return True
        first = _read(self.path)
        if first is None:
            return False  # released meanwhile
        last, place = first, self.path
        # Two files that nobody can read have the same (unknown) id.
        while (later := _read(self._claim(last))) is not None and later.id != last.id:
            last, place = later, self._claim(last)
        if not self._is_gone(last, place):
            now = _read(self.path)
            if now is None or now.id != first.id:
                return False
            raise Held(last)
        claim = self._claim(last)
        if later is not None and (now := _read(claim)) is not None and now.id == last.id:
            claim.unlink(missing_ok=True)
        if not _link(own, claim):
            return False
        found = _read(self.path)
        if found is None or found.id != first.id:  # another taker was done before the claim was made
            claim.unlink(missing_ok=True)
            return False
        os.replace(own, self.path)
        for left in self._claims_from(first, owner):
            left.unlink(missing_ok=True)
        return True

    def _remove_left_behind(self, own: Path) -> None:
        """Delete hidden files that killed processes left, old ones only: others may be at work with theirs."""
        now = own.stat().st_mtime if own.exists() else self.path.stat().st_mtime
        for path in self.folder.glob(f"{_PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.name != NAME and now - path.stat().st_mtime > _LEFT_BEHIND:
                    path.unlink()

    def _claims_from(self, first: Owner, mine: Owner) -> list[Path]:
        """The claims between the owner that the lock named and this process."""
        claims = []
        owner: Owner | None = first
        while owner is not None and owner.id != mine.id:
            claims.append(self._claim(owner))
            owner = _read(claims[-1])
        return claims

    def _claim(self, owner: Owner) -> Path:
        return self.folder / f"{_PREFIX}{owner.id}.next"

    def _is_gone(self, owner: Owner, path: Path) -> bool:
        """Whether the folder may be taken from its owner; watches the file of one that this host cannot see."""
        alive = runs(owner.process)
        return not alive if alive is not None else self._is_silent(owner, path)

    def _is_silent(self, owner: Owner, path: Path) -> bool:
        """Whether nothing changes the owner's file while it is watched."""
        before = _state(path)
        if before is None:
            return False
        with self._written(owner) as now:
            age = now.stat().st_mtime - before[0] / 1e9
        seconds = max(self.patience.silent - max(age, 0), self.patience.least)
        self.waiting(owner, seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.patience.look)
            if _state(path) != before:
                return False
        return True

    @contextlib.contextmanager
    def _written(self, owner: Owner) -> Iterator[Path]:
        """A hidden file that holds the record; deleted at the end, unless it was renamed."""
        path = self.folder / f"{_PREFIX}{uuid.uuid4().hex}.partial"
        try:
            path.write_bytes(owner.text())
            yield path
        finally:
            path.unlink(missing_ok=True)


def _link(own: Path, name: Path) -> bool:
    """Give the file `own` the name too; False when it is taken. Where links are unknown, the record is written."""
    try:
        os.link(own, name)
    except FileExistsError:
        try:
            return os.path.samefile(own, name)  # over NFS the answer to a first attempt may be lost
        except FileNotFoundError:  # removed meanwhile
            return False
    except OSError:
        # FAT, some FUSE and network file systems have no links. The record is there a moment after the name.
        try:
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(file, "wb") as written:
            written.write(own.read_bytes())
    return True


def _state(path: Path) -> tuple[int, bytes] | None:
    """Time of change (ns) and content of a file; opened anew, so that a network file system asks its server."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns, file.read()
    except FileNotFoundError:
        return None


def _read(path: Path) -> Owner | None:
    """The owner that a lock file names; None without a file. What cannot be read belongs to somebody unknown."""
    state = _state(path)
    if state is None:
        return None
    try:
        values = json.loads(state[1])
        process = Process(**values.pop("process"))
        return Owner(process, **{**values, "renewals": int(values["renewals"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state[0] / 1e9))
        return Owner(Process(_UNKNOWN, "", 0, ""), _UNKNOWN, since, _UNKNOWN)
