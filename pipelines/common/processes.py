"""Names a process so that another process can tell later whether it still runs: host, boot, process id, start time.

A process id alone says little: it is given again to another process, and it means nothing in another container or
after a restart of the machine. A host is therefore a boot of a kernel together with a namespace of process ids, and
a process is its id together with the time at which it started.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START = 0, 19  # fields of /proc/PID/stat behind the name: state, and start in ticks since boot
_ENDED = ("Z", "X", "x")  # a zombie has ended, though its parent has not yet asked for its exit code


@dataclass(frozen=True)
class Process:
    """A process. `host` is for people; `place` (boot and namespace) and `start` are only compared."""

    host: str
    place: str
    pid: int
    start: str


def this_process() -> Process:
    """The process that calls."""
    return Process(socket.gethostname(), _place(), os.getpid(), _start_of(os.getpid()) or "")


def runs(process: Process) -> bool | None:
    """Whether a process still runs; None where nothing here says so (another host, container or boot)."""
    if not process.place or process.place != _place():
        return None
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    except OverflowError:
        return False
    start = _start_of(process.pid)
    if start is None:  # it ended just now, or this user may not look at it
        return None if _exists(process.pid) else False
    return start == process.start


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _place() -> str:
    """The boot of this machine and the namespace of process ids; empty where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.stat(_PROC / 'self/ns/pid').st_ino}"
    except OSError:
        booted = _output_of("sysctl", "-n", "kern.boottime")  # macOS and BSD have no /proc
        return f"{socket.gethostname()} {booted}" if booted else ""


def _start_of(pid: int) -> str | None:
    """When a process started; None where there is none, it is a zombie, or this user may not look at it."""
    if not (_PROC / "self/stat").exists():
        return _output_of("ps", "-o", "lstart=", "-p", str(pid)) or None
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a name may hold blanks and brackets
    return "ended" if fields[_STATE] in _ENDED else fields[_START]


def _output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(done.stdout.split()) if done.returncode == 0 else ""
