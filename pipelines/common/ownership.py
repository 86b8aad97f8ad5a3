"""Holds a folder for one process, so that two commands that write never work in it at once.

`owned(folder, command)` is used around everything that writes into the output of a curation or a run of training. It
imports neither torch nor ray, so a second start is refused before they are loaded.

`Ownership` is what a kind of storage has to offer. For local folders that is `LockFile`. On an object store nothing
holds a folder yet (`NoLock`): a store needs conditional writes for it, whose calls differ from store to store; objects
appear whole there, so the later of two writers wins for each object.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

from data_filters.errors import InputError
from pipelines.common.causes import RunFailed
from pipelines.common.lock_file import Held, LockFile, Lost, Owner, Patience
from pipelines.common.paths import check_folder, local_path, writable_folder

logger = logging.getLogger(__name__)


class Ownership(Protocol):
    """Exclusive use of a folder. `acquire` raises Held, `renew` Lost, and both OSError."""

    def acquire(self) -> None:
        """Own the folder from now on."""

    def renew(self) -> None:
        """Give a sign of life; called every `Patience.renewal` seconds."""

    def release(self) -> None:
        """Give the folder back."""


class NoLock:
    """Nothing is held: for object stores, see the module's docstring."""

    def acquire(self) -> None:
        """Do nothing."""

    def renew(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


_held: dict[tuple[int, str], int] = {}
"""(process, folder) → the thread of this process that holds the folder."""


@contextlib.contextmanager
def owned(output: str, command: str | None = None, patience: Patience | None = None) -> Iterator[None]:
    """Own the folder `output` while the context is open; it is made where it is missing.

    Inside a context of the same thread nothing is done. The line that refuses another process names `command`, by
    default this process's command line. The folder is given back at the end, after an error, and at SIGTERM; folders
    that were made and stayed empty are removed again.

    Raises InputError when another process owns the folder, or nothing can be written there; RunFailed, on the main
    thread, when another process has taken the folder over while this one was suspended.
    """
    path = local_path(output)
    if path is None:
        yield
        return
    check_folder("output", path)
    # A folder has one lock, by whatever link it is reached.
    key = (os.getpid(), os.path.realpath(path))
    if _held.get(key) == threading.get_ident():
        yield
        return
    made = writable_folder("output", path)
    lock = LockFile(Path(path), command or command_line(), patience or Patience(), _tell_of_waiting)
    try:
        _acquire(lock, path)
        _held[key] = threading.get_ident()
        try:
            with _renewed(lock, lock.patience.renewal), _released_at_sigterm(lock):
                yield
        finally:
            del _held[key]
            if os.getpid() == key[0]:  # a forked child that leaves the context owns nothing
                lock.release()
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def command_line() -> str:
    """The command of this process, for messages: `loupe curate ...` rather than the interpreter's path."""
    program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
    return " ".join(["loupe" if program == "__main__.py" else program, *sys.argv[1:]])


def _acquire(lock: LockFile, path: str) -> None:
    try:
        while True:
            try:
                lock.acquire()
                return
            except FileNotFoundError:  # a start that made the folder was refused, and has removed it again
                os.makedirs(path, exist_ok=True)
    except Held as held:
        raise InputError(
            f"output {path} is in use by {_description(held.owner)}; wait until it ends, stop it, or give another "
            "output"
        ) from held
    except OSError as error:
        raise InputError(f"output {path}: {error.strerror}: {error.filename}; give another output") from error


def _description(owner: Owner) -> str:
    command = owner.command if len(owner.command) <= 160 else f"{owner.command[:157]}..."
    process = owner.process
    return f"process {process.pid} on {process.host} since {owner.started} ({command})"


def _tell_of_waiting(owner: Owner, seconds: float) -> None:
    logger.warning(
        "the output was begun by %s; waiting up to %.0f s to see whether it is alive",
        _description(owner),
        seconds,
    )


@contextlib.contextmanager
def _renewed(lock: LockFile, seconds: float) -> Iterator[None]:
    """Renew the lock from a thread. Raises RunFailed on the main thread when the lock is lost."""
    ended = threading.Event()
    lost: list[Lost] = []

    def renew() -> None:
        while not ended.wait(seconds):
            try:
                lock.renew()
            except Lost as error:
                lost.append(error)
                logger.error("%s", _lost_line(lock, error))
                # The way to stop what the main thread is doing. SIGINT is ignored in the background of some shells.
                number = signal.SIGINT if callable(signal.getsignal(signal.SIGINT)) else signal.SIGTERM
                signal.pthread_kill(_ident(threading.main_thread()), number)
                return
            except OSError as error:  # a file system that is away for a moment; its return is awaited
                logger.warning("cannot renew %s: %s", lock.path, error)

    thread = threading.Thread(target=renew, name="loupe-owner", daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        if not lost:
            raise
        raise RunFailed(_lost_line(lock, lost[0])) from None
    finally:
        ended.set()
        thread.join()


def _ident(thread: threading.Thread) -> int:
    assert thread.ident is not None  # it runs
    return thread.ident


def _lost_line(lock: LockFile, lost: Lost) -> str:
    return (
        f"{lock.folder} was taken over by {_description(lost.owner)}, since this process gave no sign of life for "
        f"{lock.patience.silent:.0f} s; this process stops"
    )


@contextlib.contextmanager
def _released_at_sigterm(lock: LockFile) -> Iterator[None]:
    """Release the lock when SIGTERM comes, then end as the signal would have ended the process.

    Python runs no `finally` at SIGTERM. A handler that somebody else has set is left alone: it raises, as Ray's does.
    """

    def handler(number: int, frame: FrameType | None) -> None:
        lock.release()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
